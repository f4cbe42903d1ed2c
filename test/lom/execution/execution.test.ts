import assert from 'node:assert/strict';
import { CLOCK_SLACK_MS } from '../../../services/shared/messages/header.js';
import { EventKind } from '../../../services/shared/gen/rune/v1/lom.js';
import {
  ExecutionState,
  LogStream,
  Outcome,
  RunState,
  type LogLine,
} from '../../../services/shared/gen/rune/v1/run.js';
import { eventually } from '../../support/eventually.js';
import { assertNoGap, outcomesOf, statesOf } from '../../support/execution-events.js';
import { executeRecorded, planOf, resumeExecution } from '../../support/recorded-execution.js';
import { recordingLogger } from '../../support/recording-logger.js';
import {
  accepted,
  ended,
  logged,
  refusal,
  running,
  scriptedMediators,
  succeed,
  type Script,
} from '../../support/scripted-mediators.js';
import { tempStore } from '../../support/temp-store.js';

describe('an execution', () => {
  const temp = tempStore();

  it('numbers its events without gaps and ends with its state and a count per run state', async () => {
    const mediators = scriptedMediators({ start: succeed });
    const execution = await executeRecorded(temp.store, planOf(['a', 'b', 'c']), mediators);
    const events = await execution.events();
    assertNoGap(events);
    assert.deepEqual(statesOf(events), [ExecutionState.RUNNING, ExecutionState.SUCCEEDED]);
    const last = events.at(-1)?.event;
    assert.ok(last?.$case === 'execution');
    assert.deepEqual(last.value.counts, [{ state: RunState.SUCCEEDED, count: 3 }]);
  });

  it('carries a full header on its first event and a short one on the others', async () => {
    const execution = await executeRecorded(temp.store, planOf(['a']), scriptedMediators({ start: succeed }));
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
    const execution = await executeRecorded(temp.store, planOf(['a']), mediators);
    await execution.finished;
    const record = await temp.store.execution(execution.id);
    assert.equal(record?.state, ExecutionState.SUCCEEDED);
    assert.ok(record.endedMs >= record.createdMs);
    const [run] = await temp.store.runs(execution.id, { after: -1, limit: 10 });
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
      const [run] = await temp.store.runs(identity.executionId, { after: -1, limit: 1 });
      seen.push(`${run?.mediator} ${run?.lmmInstanceId} ${run?.attempt}`);
      yield* succeed();
    };
    await (
      await executeRecorded(temp.store, planOf(['a']), scriptedMediators({ start }))
    ).finished;
    assert.deepEqual(seen, ['m:1 m:1#1 1']);
  });

  it('shows the rest to who asks for it from an event on, also long after its end', async () => {
    const execution = await executeRecorded(temp.store, planOf(['a']), scriptedMediators({ start: succeed }));
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
    const events = await (await executeRecorded(temp.store, plan, scriptedMediators({ start }))).events();
    assert.equal(most, 4);
    assert.equal(outcomesOf(events).size, 30);
  });

  it('without any node has succeeded at once', async () => {
    const execution = await executeRecorded(temp.store, planOf([]), scriptedMediators({ start: succeed }));
    assert.deepEqual(statesOf(await execution.events()), [ExecutionState.RUNNING, ExecutionState.SUCCEEDED]);
  });

  it('goes on when its watcher leaves', async () => {
    const execution = await executeRecorded(
      temp.store,
      planOf(['a', 'b']),
      scriptedMediators({ start: succeed }),
    );
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
    const execution = await executeRecorded(temp.store, planOf(['a', 'b']), scriptedMediators({ start }));
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
    const execution = await executeRecorded(temp.store, planOf(['a']), mediators);
    const events = await execution.events();
    const kinds = events.map(({ event }) => event?.$case);
    assert.deepEqual(kinds.slice(-3), ['logTruncated', 'outcome', 'execution']);
    const [cut] = events.flatMap(({ event }) => (event?.$case === 'logTruncated' ? [event.value] : []));
    const shown = kinds.filter((kind) => kind === 'log').length;
    assert.ok(shown > 5 && shown < 30, `${shown} lines`);
    assert.ok((cut?.droppedBytes ?? 0) >= (100 - shown) * 200);
  });

  it('records the first lines of the batch in which its log reaches the limit, and none behind them', async () => {
    const line = (text: string): LogLine => ({
      content: { $case: 'text', value: text },
      stream: LogStream.STDERR,
      truncated: false,
      level: 0,
    });
    const start: Script = async function* () {
      yield accepted;
      yield { $case: 'log', value: { lines: Array(100).fill(line('x'.repeat(99))), droppedBytes: 0 } };
      yield logged('short');
      yield ended(RunState.SUCCEEDED);
    };
    const execution = await executeRecorded(temp.store, planOf(['a']), scriptedMediators({ start }));
    const events = await execution.events();
    const batches = events.flatMap(({ event }) => (event?.$case === 'log' ? [event.value.lines.length] : []));
    const [cut] = events.flatMap(({ event }) => (event?.$case === 'logTruncated' ? [event.value] : []));
    assert.deepEqual([batches, cut?.droppedBytes], [[40], 6_006]);
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
    const first = await executeRecorded(temp.store, plan, mediators, { settings });
    await first.finished;
    const attach: Script = (_node, identity, signal) => start('e', identity, signal);
    const record = await temp.store.execution(first.id);
    assert.ok(record !== undefined);
    const again = await resumeExecution(temp.store, record, plan, scriptedMediators({ start, attach }), {
      settings,
    });
    const ends = outcomesOf(await again.events());
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
    const execution = await executeRecorded(temp.store, plan, scriptedMediators({ start }), { expiresAt });
    const ends = outcomesOf(await execution.events());
    assert.equal(ends.get('a')?.state, RunState.SUCCEEDED);
    assert.equal(ends.get('b')?.error?.errorData?.name, 'MESSAGE_EXPIRED');
    assert.equal(starts, 1);
  });

  it('has a line in the log for every run that did not succeed, with name and fingerprint of its error', async () => {
    const { logger, lines } = recordingLogger();
    const start: Script = async function* (node) {
      if (node === 'good') yield* succeed();
      else throw refusal('FIELD_MISSING');
    };
    const mediators = scriptedMediators({ start });
    const execution = await executeRecorded(temp.store, planOf(['good', 'bad']), mediators, { logger });
    const failed = outcomesOf(await execution.events()).get('bad');
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
