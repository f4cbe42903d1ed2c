import assert from 'node:assert/strict';
import type { Plan } from '../../../services/lom/plan/plan.js';
import { toEps } from '../../../services/shared/messages/eps.js';
import { RuneError } from '../../../services/shared/errors.js';
import { ExecutionState, Outcome, RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { eventually } from '../../support/eventually.js';
import { errorOf, outcomeOf } from '../../support/execution-events.js';
import { executeRecorded, handOver, planOf, resumeExecution } from '../../support/recorded-execution.js';
import {
  accepted,
  ended,
  running,
  scriptedMediators,
  succeed,
  type Said,
  type Script,
} from '../../support/scripted-mediators.js';
import { tempStore } from '../../support/temp-store.js';

describe('an execution with retries', () => {
  const temp = tempStore();

  const retries = { max: 2, delayMs: 1, atLeastOnce: false };
  const unreached = (
    name: 'NODE_UNREACHABLE' | 'AUTHENTICATION_FAILED' = 'NODE_UNREACHABLE',
    more = {},
  ): Said => ({
    $case: 'outcome',
    value: Outcome.fromPartial({
      state: RunState.FAILED,
      error: toEps(new RuneError(name, 'No route to host.'), { source: 'lmm' }),
      ...more,
    }),
  });
  /** Ends its attempts like this one after the other, the last one again and again. */
  const ending = (...attempts: Said[]): { readonly start: Script; readonly sent: number[] } => {
    const sent: number[] = [];
    return {
      sent,
      async *start(_node, { attempt }) {
        sent.push(attempt);
        yield accepted;
        yield attempts[Math.min(sent.length, attempts.length) - 1] ?? ended(RunState.SUCCEEDED);
      },
    };
  };
  const perform = async (plan: Partial<Plan>, ...attempts: Said[]) => {
    const { start, sent } = ending(...attempts);
    const mediators = scriptedMediators({ start });
    const execution = await executeRecorded(temp.store, planOf(['a'], plan), mediators);
    const events = await execution.events();
    return { events, sent, mediators, execution, outcome: outcomeOf(events) };
  };

  it('tries again what cannot have started, each attempt with an id of its own, and says so', async () => {
    const { events, sent, mediators, execution } = await perform(
      { retries },
      unreached(),
      unreached(),
      ended(RunState.SUCCEEDED),
    );
    assert.equal(execution.state, ExecutionState.SUCCEEDED);
    assert.deepEqual(sent, [1, 2, 3]);
    assert.equal(new Set(mediators.starts.map(({ runId }) => runId)).size, 3);
    assert.deepEqual(
      events.flatMap(({ attempt, event }) =>
        event?.$case === 'retry'
          ? [[attempt, event.value.nextAttempt, event.value.error?.errorData?.name]]
          : [],
      ),
      [
        [1, 2, 'NODE_UNREACHABLE'],
        [2, 3, 'NODE_UNREACHABLE'],
      ],
    );
    assert.deepEqual(
      events.flatMap(({ attempt, event }) => (event?.$case === 'outcome' ? [attempt] : [])),
      [3],
    );
    const [run] = await temp.store.runs(execution.id, { after: -1, limit: 1 });
    assert.deepEqual([run?.attempt, run?.runId], [3, mediators.starts[2]?.runId]);
    assert.deepEqual(mediators.acknowledged.length, 3);
  });

  it('ends with the last failure when it has tried often enough', async () => {
    const { sent, outcome } = await perform({ retries }, unreached());
    assert.deepEqual(sent, [1, 2, 3]);
    assert.equal(errorOf(outcome), 'NODE_UNREACHABLE');
  });

  for (const [what, said] of [
    ['may have started', unreached('NODE_UNREACHABLE', { startedAt: new Date() })],
    ['may have left something alive', unreached('NODE_UNREACHABLE', { maySurvive: true })],
    ['is lost', ended(RunState.LOST)],
    ['failed', ended(RunState.FAILED)],
    ['would fail again', unreached('AUTHENTICATION_FAILED')],
  ] as const) {
    it(`does not try again what ${what}`, async () => {
      assert.deepEqual((await perform({ retries }, said)).sent, [1]);
    });
  }

  it('does not try again unless that was asked for', async () => {
    assert.deepEqual((await perform({}, unreached())).sent, [1]);
  });

  it('stops to try when it is cancelled in between', async () => {
    const { start, sent } = ending(unreached());
    const plan = planOf(['a'], { retries: { max: 5, delayMs: 600_000, atLeastOnce: false } });
    const execution = await executeRecorded(temp.store, plan, scriptedMediators({ start }));
    const events = await execution.events(({ event }) => {
      if (event?.$case === 'retry') execution.cancel('enough');
    });
    assert.equal(outcomeOf(events)?.state, RunState.CANCELLED);
    assert.deepEqual(sent, [1]);
  });

  it('tries again what was lost where that is wanted, only when it cannot be alive, whoever owns it then', async () => {
    const lost: Script = async function* () {
      yield accepted;
      yield running;
      throw new RuneError('SERVICE_UNREACHABLE', 'connection reset');
    };
    const plan = planOf(['a'], { retries: { max: 1, delayMs: 1, atLeastOnce: true } });
    const settings = { lostAfterMs: 600 };
    const before = Date.now();
    const old = await executeRecorded(temp.store, plan, scriptedMediators({ start: lost }), { settings });
    await eventually(async () => (await temp.store.runs(old.id, { after: -1, limit: 1 }))[0]?.attempt === 2, {
      label: 'the word of the next attempt',
    });
    const record = await handOver(temp.store, old);
    const mediators = scriptedMediators({ start: succeed });
    const execution = await resumeExecution(temp.store, record, plan, mediators, { settings });
    const events = await execution.events();
    assert.ok(Date.now() - before >= 500, 'it was sent while the lost one may have been alive');
    assert.equal(outcomeOf(events)?.state, RunState.SUCCEEDED);
    const [retry] = events.flatMap(({ event }) => (event?.$case === 'retry' ? [event.value] : []));
    assert.equal(retry?.outcome?.state, RunState.LOST);
    assert.equal(new Set(events.map(({ runId }) => runId).filter((id) => id !== '')).size, 2);
  });

  it('goes on with the next attempt when it gets another owner in between, and counts on', async () => {
    const first = ending(unreached());
    const plan = planOf(['a'], { retries: { max: 1, delayMs: 600_000, atLeastOnce: false } });
    const old = await executeRecorded(temp.store, plan, scriptedMediators({ start: first.start }));
    await eventually(async () => (await temp.store.runs(old.id, { after: -1, limit: 1 }))[0]?.attempt === 2, {
      label: 'the word of the next attempt',
    });
    const record = await handOver(temp.store, old);
    const second = ending(unreached());
    const mediators = scriptedMediators({ start: second.start });
    const execution = await resumeExecution(temp.store, record, plan, mediators);
    const events = await execution.events();
    assert.deepEqual([first.sent, second.sent], [[1], [2]]);
    assert.equal(mediators.attaches.length, 0);
    assert.equal(errorOf(outcomeOf(events)), 'NODE_UNREACHABLE');
  });
});
