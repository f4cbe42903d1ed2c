import assert from 'node:assert/strict';
import { createLockTurns } from '../../../services/lom/execution/lock-turns.js';
import type { Plan } from '../../../services/lom/plan/plan.js';
import { toEps } from '../../../services/shared/messages/eps.js';
import { RuneError } from '../../../services/shared/errors.js';
import { ExecutionState, Outcome, RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { eventually } from '../../support/eventually.js';
import { outcomeOf } from '../../support/execution-events.js';
import { guardedExecutions, HOUR_MS } from '../../support/guarded-executions.js';
import {
  executeRecorded,
  handOver,
  planOf,
  recordExecution,
  resumeExecution,
  type RecordedExecution,
} from '../../support/recorded-execution.js';
import {
  accepted,
  ended,
  running,
  scriptedMediators,
  succeed,
  type Script,
} from '../../support/scripted-mediators.js';

describe('the lock of a node', () => {
  const world = guardedExecutions();
  const { turns, execute, begun } = world;

  let count = 0;
  /** The node of a test is nobody else's. */
  let key: string;
  beforeEach(() => {
    count += 1;
    key = `node-${count}`;
  });

  const mutating = (names: readonly string[], fields: Partial<Plan> = {}): Plan => {
    const plan = planOf(names, { locksNodes: true, queueWaitMs: HOUR_MS, ...fields });
    return {
      ...plan,
      runs: plan.runs.map((run) => ({ ...run, node: { ...run.node, lockKey: `${key}/${run.node.name}` } })),
    };
  };
  const waiting = async (execution: RecordedExecution, place: number): Promise<unknown> =>
    eventually(
      async () =>
        (await world.store.lockWaits(execution.id, { after: -1, limit: 1 })).get(0)?.place === place,
      { label: `place ${place} in the queue` },
    );

  it('lets mutating runs on a node one after the other, in the order in which they came', async () => {
    const first = await execute(mutating(['a']));
    await begun(1);
    const others: RecordedExecution[] = [];
    for (let place = 1; place <= 5; place += 1) {
      const next = await execute(mutating(['a']));
      others.push(next);
      await waiting(next, place);
    }
    const all = [first, ...others];
    for (const [index, { id, finished }] of all.entries()) {
      await begun(index + 1);
      world.nodes.release(id);
      await finished;
    }
    assert.deepEqual(
      world.nodes.begun,
      all.map(({ id }) => id),
    );
    assert.equal(world.nodes.overlaps(), 0);
    assert.ok(all.every(({ state }) => state === ExecutionState.SUCCEEDED));
  });

  it('is told to those who wait: who has it, which place they have, and until when they wait', async () => {
    const first = await execute(mutating(['a']));
    await begun(1);
    const second = await execute(mutating(['a']));
    await waiting(second, 1);
    world.nodes.release(first.id);
    world.nodes.release(second.id);
    const events = await second.events();
    const waits = events.flatMap(({ node, event }) =>
      event?.$case === 'waiting' ? [[node, event.value] as const] : [],
    );
    assert.equal(waits.length, 1);
    const [node, wait] = waits[0] ?? [];
    assert.equal(node, 'a');
    assert.deepEqual(
      [wait?.place, wait?.holder?.executionId, wait?.holder?.action, wait?.holder?.until],
      [1, first.id, 'noop', undefined],
    );
    assert.equal(Number(wait?.until) - Number(wait?.askedAt), HOUR_MS);
  });

  it('is nothing to runs that change nothing', async () => {
    const [one, other] = [await execute(planOf(['a'])), await execute(planOf(['a']))];
    await begun(2);
    for (const { id, finished } of [one, other]) {
      world.nodes.release(id);
      await finished;
    }
  });

  it('is refused at once to those who do not want to wait, naming who has it', async () => {
    const first = await execute(mutating(['a']));
    await begun(1);
    const second = await execute(mutating(['a'], { queueWaitMs: 0 }));
    const outcome = outcomeOf(await second.events());
    assert.equal(outcome?.state, RunState.FAILED);
    assert.equal(outcome.startedAt, undefined);
    assert.equal(outcome.error?.errorData?.name, 'NODE_LOCKED');
    assert.ok(outcome.error.errorData.message.includes(first.id), outcome.error.errorData.message);
    world.nodes.release(first.id);
    await first.finished;
    assert.equal(world.nodes.begun.length, 1);
  });

  it('is waited for until the time is over, and then the run has never started', async () => {
    const first = await execute(mutating(['a']));
    await begun(1);
    const second = await execute(mutating(['a'], { queueWaitMs: 50 }));
    const outcome = outcomeOf(await second.events());
    assert.equal(outcome?.error?.errorData?.name, 'NODE_LOCKED');
    assert.ok(outcome.error.errorData.message.includes(first.id), outcome.error.errorData.message);
    assert.deepEqual((await world.store.lockWaits(second.id, { after: -1, limit: 1 })).size, 0);
    world.nodes.release(first.id);
    await first.finished;
    assert.equal(world.nodes.begun.length, 1);
  });

  it('leaves the places of those who wait for it to others', async () => {
    const first = await execute(mutating(['a']));
    await begun(1);
    // One place, and the run that waits for its node comes before the one that does not.
    const second = await execute(mutating(['a', 'b']), { runsMax: 1 });
    await begun(2);
    world.nodes.release(second.id);
    await eventually(() => second.counts.get(RunState.SUCCEEDED) === 1, {
      label: 'the run on the other node',
    });
    world.nodes.release(first.id);
    await second.finished;
    assert.equal(second.state, ExecutionState.SUCCEEDED);
    assert.equal(world.nodes.overlaps(), 0);
  });

  it('is not waited for any more once the execution is cancelled, and the next one moves up', async () => {
    const first = await execute(mutating(['a']));
    await begun(1);
    const second = await execute(mutating(['a']));
    await waiting(second, 1);
    const third = await execute(mutating(['a']));
    await waiting(third, 2);
    second.cancel('enough');
    const outcome = outcomeOf(await second.events());
    assert.equal(outcome?.state, RunState.CANCELLED);
    assert.equal(outcome.cancelConfirmed, true);
    await waiting(third, 1);
    world.nodes.release(first.id);
    world.nodes.release(third.id);
    await third.finished;
    assert.deepEqual(world.nodes.begun, [first.id, third.id]);
  });

  it('does not start what was held back while it waited', async () => {
    const first = await execute(mutating(['b']));
    await begun(1);
    const start: Script = async function* (node, identity, signal) {
      if (node !== 'a') {
        yield* world.nodes.start(node, identity, signal);
        return;
      }
      await eventually(
        async () => (await world.store.lockWaits(identity.executionId, { after: -1, limit: 1 })).size === 1,
        { label: 'the wait of the other run' },
      );
      yield accepted;
      yield ended(RunState.FAILED);
    };
    const plan = mutating(['a', 'b'], { rollout: { canary: false, batchSize: 2, failuresMax: 1 } });
    const second = await executeRecorded(world.store, plan, scriptedMediators({ start }), { turns });
    await eventually(() => second.counts.get(RunState.FAILED) === 1, { label: 'the failure' });
    world.nodes.release(first.id);
    const outcome = outcomeOf(await second.events(), 'b');
    assert.equal(outcome?.state, RunState.SKIPPED);
    assert.equal(outcome.error?.errorData?.name, 'RUN_HELD_BACK');
    assert.equal(world.nodes.begun.length, 1);
  });

  it('stays with a lost run for as long as it may be alive, and is then free by itself', async () => {
    const start: Script = async function* () {
      yield accepted;
      yield running;
      throw new RuneError('SERVICE_UNREACHABLE', 'connection reset');
    };
    const settings = { lostAfterMs: 2_000 };
    const lost = await executeRecorded(world.store, mutating(['a']), scriptedMediators({ start }), {
      turns,
      settings,
    });
    await lost.finished;
    assert.equal(lost.counts.get(RunState.LOST), 1);
    const refused = await execute(mutating(['a'], { queueWaitMs: 0 }));
    const error = outcomeOf(await refused.events())?.error?.errorData;
    assert.match(error?.message ?? '', /which was lost and may be alive there until 20/);

    // Its first look comes when the time is over: nobody releases what was lost.
    const patient = await execute(mutating(['a']), { turns: createLockTurns(50) });
    world.nodes.release(patient.id);
    await patient.finished;
    assert.equal(patient.state, ExecutionState.SUCCEEDED);
  });

  it('is refused to an action that ran there a short while ago, and to no other one', async () => {
    const plan = mutating(['a']);
    const cooling = (action: string, cooldownMs: number): Plan => ({
      ...plan,
      action: { ...plan.action, capability: { ...plan.action.capability, action, cooldownMs } },
    });
    const start: Script = async function* () {
      yield accepted;
      yield running;
      yield {
        $case: 'outcome',
        value: Outcome.fromPartial({ state: RunState.FAILED, startedAt: new Date() }),
      };
    };
    const perform = async (action: string, script = start): Promise<Outcome | undefined> => {
      const mediators = scriptedMediators({ start: script });
      const execution = await executeRecorded(world.store, cooling(action, HOUR_MS), mediators, { turns });
      return outcomeOf(await execution.events());
    };
    assert.equal((await perform('restart'))?.error, undefined);
    const refused = await perform('restart');
    assert.equal(refused?.error?.errorData?.name, 'NODE_COOLING_DOWN');
    assert.equal(refused.startedAt, undefined);
    assert.match(refused.error.errorData.message, /^restart may run on a again from 20/);
    // What never started does not count.
    assert.equal((await perform('reload', succeed))?.state, RunState.SUCCEEDED);
    assert.equal((await perform('reload'))?.error, undefined);
    assert.deepEqual(await world.store.nodeLock(`${key}/a`), { holder: undefined, waiting: 0 });
  });

  it('stays with a run between its attempts', async () => {
    const start: Script = async function* (_node, { attempt }) {
      yield accepted;
      if (attempt > 1) yield running;
      const error = toEps(new RuneError('NODE_UNREACHABLE', 'No route.'), { source: 'lmm' });
      const failed = Outcome.fromPartial({ state: RunState.FAILED, error });
      yield attempt > 1 ? ended(RunState.SUCCEEDED) : { $case: 'outcome', value: failed };
    };
    const plan = mutating(['a'], { retries: { max: 1, delayMs: 300, atLeastOnce: false } });
    const first = await executeRecorded(world.store, plan, scriptedMediators({ start }), { turns });
    const events = first.events();
    await eventually(
      async () => (await world.store.runs(first.id, { after: -1, limit: 1 }))[0]?.attempt === 2,
      {
        label: 'the pause',
      },
    );
    const second = await execute(mutating(['a']));
    await waiting(second, 1);
    world.nodes.release(second.id);
    await second.finished;
    assert.equal(outcomeOf(await events)?.state, RunState.SUCCEEDED);
    const end = async (id: string): Promise<number> => (await world.store.execution(id))?.endedMs ?? 0;
    assert.ok((await end(first.id)) <= (await end(second.id)));
    assert.equal(second.state, ExecutionState.SUCCEEDED);
  });

  it('stays with a run that is lost and tried again, also when it is not tried again after all', async () => {
    const start: Script = async function* () {
      yield accepted;
      yield running;
      throw new RuneError('SERVICE_UNREACHABLE', 'connection reset');
    };
    const plan = mutating(['a'], { retries: { max: 1, delayMs: 1, atLeastOnce: true } });
    const mediators = scriptedMediators({ start });
    const settings = { lostAfterMs: HOUR_MS };
    const first = await executeRecorded(world.store, plan, mediators, { turns, settings });
    const events = first.events(({ event }) => {
      if (event?.$case === 'retry') first.cancel('enough');
    });
    const outcome = outcomeOf(await events);
    assert.equal(outcome?.state, RunState.LOST);
    assert.match(outcome.error?.errorData?.message ?? '', /not repeated: The run was cancelled before/);
    assert.equal(mediators.starts.length, 1);
    const { holder } = await world.store.nodeLock(`${key}/a`);
    assert.equal(holder?.executionId, first.id);
    assert.ok(holder.untilMs > Date.now() + HOUR_MS / 2);
  });

  it('keeps the place of a waiting run whose execution gets another owner', async () => {
    const first = await execute(mutating(['a']));
    await begun(1);
    const plan = mutating(['a']);
    const second = await execute(plan);
    await waiting(second, 1);
    const third = await execute(mutating(['a']));
    await waiting(third, 2);
    const record = await handOver(world.store, second);
    const again = await resumeExecution(
      world.store,
      record,
      plan,
      scriptedMediators({ start: world.nodes.start }),
      {
        turns,
      },
    );
    for (const { id } of [first, again, third]) world.nodes.release(id);
    await Promise.all([again.finished, third.finished]);
    assert.deepEqual(world.nodes.begun, [first.id, second.id, third.id]);
    assert.equal(world.nodes.overlaps(), 0);
  });

  it('stays with a run whose execution gets another owner, and is free when that one has ended it', async () => {
    const plan = mutating(['a']);
    const first = await execute(plan);
    await begun(1);
    const second = await execute(mutating(['a']));
    await waiting(second, 1);
    const record = await handOver(world.store, first);
    assert.equal((await world.store.nodeLock(`${key}/a`)).holder?.executionId, first.id);
    const attach: Script = async function* () {
      yield ended(RunState.SUCCEEDED);
    };
    const again = await resumeExecution(
      world.store,
      record,
      plan,
      scriptedMediators({ start: succeed, attach }),
      {
        turns,
      },
    );
    await again.finished;
    world.nodes.release(second.id);
    await second.finished;
    assert.equal(second.state, ExecutionState.SUCCEEDED);
  });

  it('does not outlive an execution that was never performed', async () => {
    const plan = mutating(['a']);
    const record = await recordExecution(world.store, plan);
    const first = await execute(plan);
    world.nodes.release(first.id);
    await first.finished;
    assert.deepEqual(await world.store.nodeLock(`${key}/a`), { holder: undefined, waiting: 0 });
    const late = await resumeExecution(world.store, record, plan, scriptedMediators({ start: succeed }), {
      turns,
    });
    await late.finished;
    assert.equal(late.state, ExecutionState.SUCCEEDED);
  });
});
