import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isFinal } from '../../../services/lom/execution/final-state.js';
import { openStore } from '../../../services/lom/store/open-store.js';
import type { Store } from '../../../services/lom/store/store.js';
import type { Plan } from '../../../services/lom/plan/plan.js';
import { toEps } from '../../../services/shared/messages/eps.js';
import { RuneError } from '../../../services/shared/errors.js';
import { EventKind, type RunResponse } from '../../../services/shared/gen/rune/v1/lom.js';
import { ExecutionState, Outcome, RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { CLOCK_SLACK_MS } from '../../../services/shared/messages/header.js';
import { eventually } from '../../support/eventually.js';
import {
  executeRecorded,
  planOf,
  recordExecution,
  resumeExecution,
} from '../../support/recorded-execution.js';
import { recordingLogger } from '../../support/recording-logger.js';
import {
  abortOf,
  accepted,
  ended,
  logged,
  refusal,
  running,
  scriptedMediators,
  succeed,
  type Said,
  type Script,
} from '../../support/scripted-mediators.js';
import { makeTempDirectory, type TempDirectory } from '../../support/temp-directory.js';

const outcomes = (events: readonly RunResponse[]): Map<string, Outcome> =>
  new Map(
    events.flatMap(({ node, event }) => (event?.$case === 'outcome' ? [[node, event.value] as const] : [])),
  );

const states = (events: readonly RunResponse[]): ExecutionState[] =>
  events.flatMap(({ event }) => (event?.$case === 'execution' ? [event.value.state] : []));

const errorOf = (outcome: Outcome | undefined): string | undefined => outcome?.error?.errorData?.name;

const textsOf = (events: readonly RunResponse[]): (string | Buffer | undefined)[] =>
  events.flatMap(({ event }) =>
    event?.$case === 'log' ? event.value.lines.map((line) => line.content?.value) : [],
  );

/** A promise and what settles it. */
function gate(): { readonly open: () => void; readonly opened: Promise<void> } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}

describe('an execution', () => {
  let directory: TempDirectory;
  let store: Store;

  before(async () => {
    directory = await makeTempDirectory();
    const settings = {
      storeConnectTimeoutMs: 1000,
      storeStatementTimeoutMs: 1000,
      storeConnectionsMax: 2,
    };
    store = await openStore(join(directory.path, 'rune.db'), settings, recordingLogger().logger);
  });

  after(async () => {
    await store.close();
    await directory.remove();
  });

  it('numbers its events without gaps and ends with its state and a count per run state', async () => {
    const mediators = scriptedMediators({ start: succeed });
    const execution = await executeRecorded(store, planOf(['a', 'b', 'c']), mediators);
    const events = await execution.events();
    assert.deepEqual(
      events.map(({ seq }) => seq),
      events.map((_event, index) => index + 1),
    );
    assert.deepEqual(states(events), [ExecutionState.RUNNING, ExecutionState.SUCCEEDED]);
    const last = events.at(-1)?.event;
    assert.ok(last?.$case === 'execution');
    assert.deepEqual(last.value.counts, [{ state: RunState.SUCCEEDED, count: 3 }]);
  });

  it('carries a full header on its first event and a short one on the others', async () => {
    const execution = await executeRecorded(store, planOf(['a']), scriptedMediators({ start: succeed }));
    const [first, second] = await execution.events();
    assert.equal(first?.header?.payload?.schemaVersion, 'rcs_v2');
    assert.equal(second?.header?.payload, undefined);
    assert.equal(
      second?.header?.messageMetadata?.parentMessageId,
      first?.header?.messageMetadata?.parentMessageId,
    );
  });

  it('is recorded with the state of every run, and tells the mediator that it is', async () => {
    const mediators = scriptedMediators({ start: succeed });
    const execution = await executeRecorded(store, planOf(['a']), mediators);
    await execution.finished;
    const record = await store.execution(execution.id);
    assert.equal(record?.state, ExecutionState.SUCCEEDED);
    assert.ok(record.endedMs >= record.createdMs);
    const [run] = await store.runs(execution.id, { after: -1, limit: 10 });
    assert.equal(run?.state, RunState.SUCCEEDED);
    assert.equal(run.mediator, 'm:1');
    assert.equal(run.lmmInstanceId, 'm:1#1');
    assert.equal(run.attempt, 1);
    assert.ok(run.outcomeSeq > 1);
    assert.deepEqual(mediators.acknowledged, [run.runId]);
  });

  it('is recorded as placed before it is sent', async () => {
    const seen: string[] = [];
    const start: Script = async function* (_node, identity) {
      const [run] = await store.runs(identity.executionId, { after: -1, limit: 1 });
      seen.push(`${run?.mediator} ${run?.lmmInstanceId} ${run?.attempt}`);
      yield* succeed();
    };
    await (
      await executeRecorded(store, planOf(['a']), scriptedMediators({ start }))
    ).finished;
    assert.deepEqual(seen, ['m:1 m:1#1 1']);
  });

  it('shows the rest to who asks for it from an event on, also long after its end', async () => {
    const execution = await executeRecorded(store, planOf(['a']), scriptedMediators({ start: succeed }));
    const all = await execution.events();
    for (let fromSeq = 1; fromSeq <= all.length; fromSeq++) {
      const rest = await execution.events(undefined, fromSeq);
      assert.deepEqual(
        rest.map(({ seq }) => seq),
        all.slice(fromSeq - 1).map(({ seq }) => seq),
      );
    }
    await assert.rejects(execution.events(undefined, all.length + 1), { name: 'FIELD_OUT_OF_RANGE' });
  });

  it('never runs more at once than the plan allows', async () => {
    let now = 0;
    let most = 0;
    const names = Array.from({ length: 30 }, (_, index) => `n${index}`);
    const start: Script = async function* () {
      most = Math.max(most, ++now);
      yield accepted;
      await new Promise(setImmediate);
      now--;
      yield ended(RunState.SUCCEEDED);
    };
    const plan = planOf(names, { maxParallel: 4 });
    const events = await (await executeRecorded(store, plan, scriptedMediators({ start }))).events();
    assert.equal(most, 4);
    assert.equal(outcomes(events).size, 30);
  });

  it('without any node has succeeded at once', async () => {
    const execution = await executeRecorded(store, planOf([]), scriptedMediators({ start: succeed }));
    assert.deepEqual(states(await execution.events()), [ExecutionState.RUNNING, ExecutionState.SUCCEEDED]);
  });

  it('goes on when its watcher leaves', async () => {
    const execution = await executeRecorded(store, planOf(['a', 'b']), scriptedMediators({ start: succeed }));
    await assert.rejects(
      execution.events(() => {
        throw new Error('gone');
      }),
      /gone/,
    );
    await execution.finished;
    assert.equal(execution.state, ExecutionState.SUCCEEDED);
  });

  it('shows who watches only the nodes and the kinds of events that are wanted, and always how it ends', async () => {
    const start: Script = async function* () {
      yield accepted;
      yield running;
      yield logged('hello');
      yield ended(RunState.SUCCEEDED);
    };
    const execution = await executeRecorded(store, planOf(['a', 'b']), scriptedMediators({ start }));
    await execution.finished;
    const shown = async (choice: Parameters<typeof execution.events>[2]): Promise<string[]> =>
      (await execution.events(undefined, 1, choice)).map(({ node, event }) => `${node} ${event?.$case}`);
    const both = [' execution', 'a outcome', 'b outcome', ' execution'];
    assert.deepEqual((await shown({ kinds: [EventKind.OUTCOME] })).toSorted(), both.toSorted());
    assert.deepEqual(await shown({ nodes: ['a'], kinds: [EventKind.LOG, EventKind.STATE] }), [
      ' execution',
      'a state',
      'a log',
      ' execution',
    ]);
    const withoutLog = { nodes: ['a'], withoutLog: true };
    assert.deepEqual(await shown({ ...withoutLog, kinds: [EventKind.LOG] }), [' execution', ' execution']);
    assert.deepEqual(await shown(withoutLog), [' execution', 'a state', 'a outcome', ' execution']);
    await assert.rejects(shown({ kinds: [EventKind.UNSPECIFIED] }), { name: 'FIELD_OUT_OF_RANGE' });
  });

  it('records log up to its limit and then says how much followed', async () => {
    const start: Script = async function* () {
      yield accepted;
      yield running;
      for (let line = 0; line < 100; line++) yield logged('x'.repeat(200));
      yield ended(RunState.SUCCEEDED);
    };
    const mediators = scriptedMediators({ start });
    const execution = await executeRecorded(store, planOf(['a']), mediators);
    const events = await execution.events();
    const kinds = events.map(({ event }) => event?.$case);
    assert.deepEqual(kinds.slice(-3), ['logTruncated', 'outcome', 'execution']);
    const [cut] = events.flatMap(({ event }) => (event?.$case === 'logTruncated' ? [event.value] : []));
    const shown = kinds.filter((kind) => kind === 'log').length;
    assert.ok(shown > 5 && shown < 30, `${shown} lines`);
    assert.ok((cut?.droppedBytes ?? 0) >= (100 - shown) * 200);
  });

  it('records results up to their limit, of one that does not fit its size, and the same when somebody else goes on', async () => {
    const sizes: Record<string, number> = { a: 4000, b: 4000, c: 4000, d: 100, e: 4000 };
    const start: Script = async function* (node) {
      const outputJson = Buffer.from(JSON.stringify('x'.repeat(sizes[node] ?? 0)));
      yield accepted;
      const outcome = Outcome.fromPartial({ state: RunState.SUCCEEDED, result: { outputJson } });
      yield { $case: 'outcome', value: outcome };
    };
    const settings = { resultsExecutionBytesMax: 9000 };
    const plan = planOf(Object.keys(sizes), { maxParallel: 1 });
    const mediators = scriptedMediators({
      async *start(node, identity, signal) {
        if (node === 'e') first.leave();
        yield* start(node, identity, signal);
      },
    });
    const first = await executeRecorded(store, plan, mediators, { settings });
    await first.finished;
    const attach: Script = (_node, identity, signal) => start('e', identity, signal);
    const record = await store.execution(first.id);
    assert.ok(record !== undefined);
    const again = await resumeExecution(store, record, plan, scriptedMediators({ start, attach }), {
      settings,
    });
    const ends = outcomes(await again.events());
    assert.equal(again.state, ExecutionState.SUCCEEDED);
    assert.deepEqual(
      [...ends].map(([node, { result }]) => [node, result?.outputJson.length, result?.notKeptBytes]),
      [
        ['a', 4002, 0],
        ['b', 4002, 0],
        ['c', 0, 4002],
        ['d', 102, 0],
        ['e', 0, 4002],
      ],
    );
  });

  it('starts nothing that its caller does not want any more by then', async () => {
    let starts = 0;
    const start: Script = async function* () {
      starts += 1;
      await eventually(() => Date.now() > Number(expiresAt) + CLOCK_SLACK_MS, { label: 'the expiry' });
      yield* succeed();
    };
    // A clock of a caller may be off by that much.
    const expiresAt = new Date(Date.now() - CLOCK_SLACK_MS + 300);
    const plan = planOf(['a', 'b'], { maxParallel: 1 });
    const execution = await executeRecorded(store, plan, scriptedMediators({ start }), { expiresAt });
    const ends = outcomes(await execution.events());
    assert.equal(ends.get('a')?.state, RunState.SUCCEEDED);
    assert.equal(ends.get('b')?.error?.errorData?.name, 'MESSAGE_EXPIRED');
    assert.equal(starts, 1);
  });

  describe('whose mediator does not take a run', () => {
    it('asks the next one, and records that it did', async () => {
      const start: Script = async function* (_node, identity) {
        const [run] = await store.runs(identity.executionId, { after: -1, limit: 1 });
        if (run?.mediator === 'm:1') throw refusal('MEDIATOR_FULL');
        yield* succeed();
      };
      const mediators = scriptedMediators({ start });
      const execution = await executeRecorded(store, planOf(['a']), mediators);
      await execution.finished;
      assert.equal(execution.state, ExecutionState.SUCCEEDED);
      assert.deepEqual(
        mediators.starts.map(({ placement }) => placement.address),
        ['m:1', 'm:2'],
      );
      assert.equal(new Set(mediators.starts.map(({ runId }) => runId)).size, 1);
    });

    it('ends the run as one that never started when none takes it', async () => {
      const instanceAt = (address: string): Promise<string> =>
        Promise.reject(new RuneError('MEDIATOR_UNAVAILABLE', `Nobody at ${address}.`));
      const mediators = scriptedMediators({ start: succeed, instanceAt });
      const events = await (await executeRecorded(store, planOf(['a']), mediators)).events();
      const outcome = outcomes(events).get('a');
      assert.equal(outcome?.state, RunState.FAILED);
      assert.equal(errorOf(outcome), 'MEDIATOR_UNAVAILABLE');
      assert.equal(outcome?.maySurvive, false);
      assert.equal(mediators.starts.length, 0);
    });

    it('waits for one that has no room, and is cancelled while it waits', async () => {
      let full = true;
      const start: Script = async function* () {
        if (full) throw refusal('MEDIATOR_FULL');
        yield* succeed();
      };
      const settings = { mediatorWaitMs: 60_000, mediatorRetryMs: 60_000 };
      const mediators = scriptedMediators({ start });
      const execution = await executeRecorded(store, planOf(['a']), mediators, { settings });
      await eventually(() => mediators.starts.length === 2, { label: 'both refusals' });
      execution.cancel('enough');
      const events = await execution.events();
      assert.equal(outcomes(events).get('a')?.state, RunState.CANCELLED);

      const patient = scriptedMediators({ start });
      const quick = { mediatorWaitMs: 60_000, mediatorRetryMs: 20 };
      const other = await executeRecorded(store, planOf(['a']), patient, { settings: quick });
      await eventually(() => patient.starts.length >= 2, { label: 'both refusals' });
      full = false;
      await other.finished;
      assert.equal(other.state, ExecutionState.SUCCEEDED);
    });

    it('ends the run after its wait as one that never started, and says who had no room', async () => {
      const start: Script = async function* () {
        yield* [];
        throw refusal('MEDIATOR_FULL');
      };
      const mediators = scriptedMediators({ start });
      const events = await (await executeRecorded(store, planOf(['a']), mediators)).events();
      assert.equal(errorOf(outcomes(events).get('a')), 'MEDIATOR_FULL');
    });

    it('asks again where another process answers by now', async () => {
      let asked = 0;
      const start: Script = async function* () {
        if (asked++ === 0) throw refusal('WRONG_INSTANCE');
        yield* succeed();
      };
      const mediators = scriptedMediators({ start });
      const execution = await executeRecorded(store, planOf(['a']), mediators);
      await execution.finished;
      assert.equal(execution.state, ExecutionState.SUCCEEDED);
      assert.equal(mediators.attaches.length, 0);
    });

    it('ends the run with what the mediator refuses it for', async () => {
      const start: Script = async function* () {
        yield* [];
        throw refusal('FIELD_MISSING');
      };
      const events = await (
        await executeRecorded(store, planOf(['a']), scriptedMediators({ start }))
      ).events();
      assert.equal(errorOf(outcomes(events).get('a')), 'FIELD_MISSING');
      assert.equal(outcomes(events).get('a')?.state, RunState.FAILED);
    });
  });

  describe('whose stream breaks', () => {
    const broken: Script = async function* () {
      yield accepted;
      yield running;
      yield logged('first');
      throw new RuneError('SERVICE_UNREACHABLE', 'connection reset');
    };

    it('finds the run again where it was and goes on behind what it has', async () => {
      const attach: Script = async function* () {
        yield logged('second');
        yield ended(RunState.SUCCEEDED);
      };
      const mediators = scriptedMediators({ start: broken, attach });
      const execution = await executeRecorded(store, planOf(['a']), mediators);
      const events = await execution.events();
      assert.equal(execution.state, ExecutionState.SUCCEEDED);
      assert.deepEqual(textsOf(events), ['first', 'second']);
      assert.deepEqual(
        mediators.attaches.map(({ afterEvent, placement }) => [afterEvent, placement]),
        [[3, { address: 'm:1', instanceId: 'm:1#1' }]],
      );
      assert.equal(mediators.starts.length, 1);
    });

    it('has lost it when another process answers there', async () => {
      const mediators = scriptedMediators({ start: broken });
      const events = await (await executeRecorded(store, planOf(['a']), mediators)).events();
      const outcome = outcomes(events).get('a');
      assert.equal(outcome?.state, RunState.LOST);
      assert.equal(errorOf(outcome), 'OUTCOME_UNKNOWN');
      assert.equal(outcome?.maySurvive, true);
      assert.ok(outcome.stoppedOnNodeBy instanceof Date);
      assert.equal(mediators.starts.length, 1);
    });

    it('looks for it until nothing can be left of it, and then has lost it', async () => {
      const attach: Script = async function* () {
        yield* [];
        throw new RuneError('SERVICE_UNREACHABLE', 'still away');
      };
      const mediators = scriptedMediators({ start: broken, attach });
      const events = await (await executeRecorded(store, planOf(['a']), mediators)).events();
      assert.equal(outcomes(events).get('a')?.state, RunState.LOST);
      assert.ok(mediators.attaches.length > 3, `${mediators.attaches.length} attempts`);
    });

    it('does not take a clock that is set for the time that it has looked for it', async () => {
      const now = Date.now;
      let asked = 0;
      const attach: Script = async function* () {
        asked += 1;
        Date.now = () => now() + 86_400_000 * asked;
        if (asked < 3) throw new RuneError('SERVICE_UNREACHABLE', 'still away');
        yield ended(RunState.SUCCEEDED);
      };
      try {
        const mediators = scriptedMediators({ start: broken, attach });
        const execution = await executeRecorded(store, planOf(['a']), mediators, {
          settings: { lostAfterMs: 60_000 },
        });
        await execution.finished;
        assert.equal(execution.state, ExecutionState.SUCCEEDED);
      } finally {
        Date.now = now;
      }
    });

    it('has not lost one that was silent for longer than that before it broke off once more', async () => {
      let asked = 0;
      const attach: Script = async function* (_node, _identity, _signal, found) {
        asked += 1;
        if (asked === 2) yield ended(RunState.SUCCEEDED);
        if (asked > 1) return;
        found?.();
        await delay(60);
        throw new RuneError('SERVICE_UNREACHABLE', 'connection reset');
      };
      const mediators = scriptedMediators({ start: broken, attach });
      const execution = await executeRecorded(store, planOf(['a']), mediators, {
        settings: { lostAfterMs: 50 },
      });
      await execution.finished;
      assert.equal(execution.state, ExecutionState.SUCCEEDED);
    });

    it('has lost it after that time when it is found again and again, and ends without an outcome', async () => {
      const attach: Script = async function* (_node, _identity, _signal, found) {
        yield* [];
        found?.();
      };
      const mediators = scriptedMediators({ start: broken, attach });
      const events = await (await executeRecorded(store, planOf(['a']), mediators)).events();
      assert.equal(outcomes(events).get('a')?.state, RunState.LOST);
    });

    it('before the mediator had answered sends it again only after proof that it did not start', async () => {
      let sent = 0;
      const start: Script = async function* () {
        if (sent++ === 0) throw new RuneError('SERVICE_UNREACHABLE', 'connection reset');
        yield* succeed();
      };
      const attach: Script = async function* () {
        yield* [];
        throw refusal('RUN_NOT_FOUND');
      };
      const mediators = scriptedMediators({ start, attach });
      const execution = await executeRecorded(store, planOf(['a']), mediators);
      await execution.finished;
      assert.equal(execution.state, ExecutionState.SUCCEEDED);
      assert.equal(mediators.attaches.length, 1);
      assert.equal(new Set(mediators.starts.map(({ runId }) => runId)).size, 1);
    });
  });

  describe('with retries', () => {
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
      const execution = await executeRecorded(store, planOf(['a'], plan), mediators);
      const events = await execution.events();
      return { events, sent, mediators, execution, outcome: outcomes(events).get('a') };
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
      const [run] = await store.runs(execution.id, { after: -1, limit: 1 });
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
      const execution = await executeRecorded(store, plan, scriptedMediators({ start }));
      const events = await execution.events(({ event }) => {
        if (event?.$case === 'retry') execution.cancel('enough');
      });
      assert.equal(outcomes(events).get('a')?.state, RunState.CANCELLED);
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
      const old = await executeRecorded(store, plan, scriptedMediators({ start: lost }), { settings });
      await eventually(async () => (await store.runs(old.id, { after: -1, limit: 1 }))[0]?.attempt === 2, {
        label: 'the word of the next attempt',
      });
      old.leave();
      await old.finished;
      const [record] = await store.takeOver('me', 10, [old.id]);
      assert.ok(record !== undefined);
      const mediators = scriptedMediators({ start: succeed });
      const execution = await resumeExecution(store, record, plan, mediators, { settings });
      const events = await execution.events();
      assert.ok(Date.now() - before >= 500, 'it was sent while the lost one may have been alive');
      assert.equal(outcomes(events).get('a')?.state, RunState.SUCCEEDED);
      const [retry] = events.flatMap(({ event }) => (event?.$case === 'retry' ? [event.value] : []));
      assert.equal(retry?.outcome?.state, RunState.LOST);
      assert.equal(new Set(events.map(({ runId }) => runId).filter((id) => id !== '')).size, 2);
    });

    it('goes on with the next attempt when it gets another owner in between, and counts on', async () => {
      const first = ending(unreached());
      const plan = planOf(['a'], { retries: { max: 1, delayMs: 600_000, atLeastOnce: false } });
      const old = await executeRecorded(store, plan, scriptedMediators({ start: first.start }));
      await eventually(async () => (await store.runs(old.id, { after: -1, limit: 1 }))[0]?.attempt === 2, {
        label: 'the word of the next attempt',
      });
      old.leave();
      await old.finished;
      const [record] = await store.takeOver('me', 10, [old.id]);
      assert.ok(record !== undefined);
      const second = ending(unreached());
      const mediators = scriptedMediators({ start: second.start });
      const execution = await resumeExecution(store, record, plan, mediators);
      const events = await execution.events();
      assert.deepEqual([first.sent, second.sent], [[1], [2]]);
      assert.equal(mediators.attaches.length, 0);
      assert.equal(errorOf(outcomes(events).get('a')), 'NODE_UNREACHABLE');
    });
  });

  describe('that has a new owner', () => {
    it('goes on: ended runs stay, sent ones are found, the others are sent', async () => {
      const start: Script = async function* (node, _identity, signal) {
        if (node === 'ended') return yield* succeed();
        yield accepted;
        yield running;
        await abortOf(signal);
        throw new RuneError('CALL_CANCELLED', 'The call was cancelled.');
      };
      const plan = planOf(['ended', 'sent', 'waiting'], { maxParallel: 1 });
      const first = scriptedMediators({ start });
      const old = await executeRecorded(store, plan, first);
      await eventually(() => first.starts.length === 2 && first.acknowledged.length === 1, {
        label: 'two runs',
      });
      old.leave();
      await old.finished;

      await store.endLease('me');
      const [record] = await store.takeOver('you', 10);
      assert.equal(record?.epoch, 2);
      const attach: Script = async function* () {
        yield ended(RunState.SUCCEEDED);
      };
      const second = scriptedMediators({ start: succeed, attach });
      const execution = await resumeExecution(store, record, plan, second);
      const events = await execution.events();
      assert.equal(execution.state, ExecutionState.SUCCEEDED);
      assert.deepEqual(
        events.map(({ seq }) => seq),
        events.map((_event, index) => index + 1),
      );
      assert.equal(outcomes(events).size, 3);
      assert.deepEqual(
        second.starts.map(({ node }) => node),
        ['waiting'],
      );
      assert.equal(second.attaches.length, 1);
    });

    it('and another one before a run was lost to it has lost the run all the same', async () => {
      const start: Script = async function* () {
        yield accepted;
        throw new RuneError('SERVICE_UNREACHABLE', 'connection reset');
      };
      const attach: Script = async function* () {
        yield* [];
        throw new RuneError('SERVICE_UNREACHABLE', 'still away');
      };
      const plan = planOf(['a']);
      const settings = { lostAfterMs: 400 };
      const mediators = scriptedMediators({ start, attach });
      let owned = await executeRecorded(store, plan, mediators, { settings });
      let owners = 1;
      for (; !isFinal(owned.state); owners++) {
        await Promise.race([owned.finished, delay(100)]);
        owned.leave();
        await owned.finished;
        const [record] = await store.takeOver(`owner ${owners}`, 10);
        if (record === undefined) break;
        owned = await resumeExecution(store, record, plan, mediators, { settings });
      }
      assert.equal(outcomes(await owned.events()).get('a')?.state, RunState.LOST);
      assert.ok(owners > 3 && owners < 12, `${owners} owners`);
    });

    it('has nothing more recorded by the old one', async () => {
      const stall = gate();
      const start: Script = async function* () {
        yield accepted;
        yield running;
        await stall.opened;
        yield ended(RunState.SUCCEEDED);
      };
      const plan = planOf(['a', 'b'], { maxParallel: 1 });
      const mediators = scriptedMediators({ start });
      const old = await executeRecorded(store, plan, mediators);
      await eventually(async () => ((await store.execution(old.id))?.lastSeq ?? 0) >= 2, { label: 'a run' });
      await store.endLease('me');
      const [record] = await store.takeOver('you', 10);
      assert.equal(record?.id, old.id);
      stall.open();
      await old.finished;
      assert.equal(mediators.starts.length, 1);
      assert.equal((await store.execution(old.id))?.lastSeq, record.lastSeq);
      assert.deepEqual(mediators.acknowledged, []);
    });

    it('is cancelled by the new one if that was asked meanwhile', async () => {
      const plan = planOf(['a']);
      const record = await recordExecution(store, plan);
      await store.askCancel(record.id, 'enough');
      await store.endLease('me');
      const taken = (await store.takeOver('you', 10)).find(({ id }) => id === record.id);
      assert.ok(taken !== undefined);
      const mediators = scriptedMediators({ start: succeed });
      const execution = await resumeExecution(store, taken, plan, mediators);
      assert.equal(states(await execution.events()).at(-1), ExecutionState.CANCELLED);
      assert.equal(mediators.starts.length, 0);
    });
  });

  describe('with a rollout', () => {
    const failing: Script = async function* (node) {
      yield accepted;
      yield running;
      yield ended(node.startsWith('bad') ? RunState.FAILED : RunState.SUCCEEDED);
    };
    const started = (mediators: { readonly starts: readonly { readonly node: string }[] }): string[] =>
      mediators.starts.map(({ node }) => node);

    it('ends one batch before the next', async () => {
      let open = 0;
      let most = 0;
      const start: Script = async function* () {
        most = Math.max(most, ++open);
        yield accepted;
        await new Promise(setImmediate);
        open--;
        yield ended(RunState.SUCCEEDED);
      };
      const rollout = { canary: true, batchSize: 3, failuresMax: Infinity };
      const plan = planOf(['a', 'b', 'c', 'd', 'e', 'f', 'g'], { rollout });
      const mediators = scriptedMediators({ start });
      await (
        await executeRecorded(store, plan, mediators)
      ).finished;
      assert.equal(most, 3);
      assert.equal(mediators.starts.length, 7);
    });

    it('holds back the rest when the canary fails', async () => {
      const rollout = { canary: true, batchSize: 10, failuresMax: Infinity };
      const mediators = scriptedMediators({ start: failing });
      const plan = planOf(['bad', 'b', 'c'], { rollout });
      const execution = await executeRecorded(store, plan, mediators);
      const events = await execution.events();
      assert.deepEqual(started(mediators), ['bad']);
      assert.equal(execution.counts.get(RunState.SKIPPED), 2);
      assert.equal(errorOf(outcomes(events).get('c')), 'RUN_HELD_BACK');
      assert.equal(execution.state, ExecutionState.FAILED);
    });

    it('holds back the rest after so many failures', async () => {
      const rollout = { canary: false, batchSize: 10, failuresMax: 2 };
      const mediators = scriptedMediators({ start: failing });
      const plan = planOf(['a', 'bad1', 'bad2', 'd', 'e'], { rollout, maxParallel: 1 });
      const execution = await executeRecorded(store, plan, mediators);
      await execution.finished;
      assert.deepEqual(started(mediators), ['a', 'bad1', 'bad2']);
      assert.equal(execution.counts.get(RunState.SKIPPED), 2);
      assert.equal(execution.state, ExecutionState.PARTIAL);
    });
  });

  describe('when it is cancelled', () => {
    const untilStopped = (stopped: Promise<void>): Script =>
      async function* () {
        yield accepted;
        yield running;
        await stopped;
        yield ended(RunState.CANCELLED);
      };

    it('tells the mediator once it has the run, and starts none of the waiting ones', async () => {
      const stop = gate();
      const mediators = scriptedMediators({
        start: untilStopped(stop.opened),
        cancel: async () => stop.open(),
      });
      const plan = planOf(['first', 'waiting'], { maxParallel: 1 });
      const execution = await executeRecorded(store, plan, mediators);
      const events = await execution.events(({ event }) => {
        if (event?.$case === 'state') execution.cancel('enough');
      });
      assert.equal(mediators.cancels.length, 1);
      assert.equal(outcomes(events).get('waiting')?.state, RunState.CANCELLED);
      assert.equal(outcomes(events).get('waiting')?.startedAt, undefined);
      assert.deepEqual(states(events), [
        ExecutionState.RUNNING,
        ExecutionState.CANCELLING,
        ExecutionState.CANCELLED,
      ]);
    });

    it('tries again when the mediator cannot be told at once', async () => {
      let tried = 0;
      const stop = gate();
      const cancel = async (): Promise<void> => {
        if (++tried < 3) throw new RuneError('SERVICE_UNREACHABLE', 'not now');
        stop.open();
      };
      const mediators = scriptedMediators({ start: untilStopped(stop.opened), cancel });
      const execution = await executeRecorded(store, planOf(['a']), mediators);
      await execution.events(({ event }) => {
        if (event?.$case === 'state') execution.cancel('enough');
      });
      assert.equal(tried, 3);
    });

    it('tells the mediators again when it is asked again', async () => {
      let told = 0;
      const stop = gate();
      const cancel = async (): Promise<void> => {
        if (++told === 1) throw new RuneError('MESSAGE_TOO_LARGE', 'never');
        stop.open();
      };
      const mediators = scriptedMediators({ start: untilStopped(stop.opened), cancel });
      const execution = await executeRecorded(store, planOf(['a']), mediators, {
        settings: { cancelTriesMax: 1 },
      });
      await execution.events(({ event }) => {
        if (event?.$case !== 'state') return;
        execution.cancel('first');
        setImmediate(() => execution.cancel('second'));
      });
      assert.equal(told, 2);
      assert.equal(execution.state, ExecutionState.CANCELLED);
    });

    it('reaches a run whose mediator had not accepted it yet', async () => {
      const acceptance = gate();
      const stop = gate();
      const start: Script = async function* () {
        await acceptance.opened;
        yield accepted;
        await stop.opened;
        yield ended(RunState.CANCELLED);
      };
      const mediators = scriptedMediators({ start, cancel: async () => stop.open() });
      const execution = await executeRecorded(store, planOf(['a']), mediators);
      await eventually(() => mediators.starts.length === 1, { label: 'the start' });
      execution.cancel('enough');
      acceptance.open();
      await execution.finished;
      assert.equal(execution.state, ExecutionState.CANCELLED);
    });

    it('says what is true when every run had ended before', async () => {
      const execution = await executeRecorded(store, planOf(['a']), scriptedMediators({ start: succeed }));
      await execution.finished;
      execution.cancel('too late');
      assert.equal(execution.state, ExecutionState.SUCCEEDED);
    });
  });

  it('has a line in the log for every run that did not succeed, with name and fingerprint of its error', async () => {
    const { logger, lines } = recordingLogger();
    const start: Script = async function* (node) {
      if (node === 'good') yield* succeed();
      else throw refusal('FIELD_MISSING');
    };
    const execution = await executeRecorded(store, planOf(['good', 'bad']), scriptedMediators({ start }), {
      logger,
    });
    const failed = outcomes(await execution.events()).get('bad');
    assert.equal(lines.length, 1);
    const [line] = lines;
    assert.equal(line?.['level'], 'warn');
    assert.equal(line['node'], 'bad');
    assert.equal(line['execution_id'], execution.id);
    assert.match(String(line['run_id']), /^[0-9a-f-]{36}$/);
    assert.deepEqual([line['state'], line['error']], ['FAILED', 'FIELD_MISSING']);
    assert.equal(line['error_fingerprint'], failed?.error?.observability?.errorFingerprint);
  });
});
