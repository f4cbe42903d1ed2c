import assert from 'node:assert/strict';
import { createPrettyView } from '../../services/cli/run/pretty-view.js';
import { addToTally, createTally } from '../../services/cli/run/tally.js';
import { toEps } from '../../services/shared/messages/eps.js';
import { RuneError } from '../../services/shared/errors.js';
import { LockWait, Retry, type RunResponse } from '../../services/shared/gen/rune/v1/lom.js';
import { ExecutionState, Result, RunState, StopReason } from '../../services/shared/gen/rune/v1/run.js';
import { createEvents, EXECUTION_ID, failure } from './events.js';
import { createFakeIo } from './fake-io.js';

/** What a person sees of these events where nothing is a terminal; `stepMs` pass before each of them. */
async function show(events: readonly RunResponse[], stepMs = 0): Promise<{ out: string; err: string[] }> {
  let nowMs = 0;
  const io = createFakeIo({ nowMs: () => nowMs });
  const view = createPrettyView(io);
  const tally = createTally();
  for (const event of events) {
    nowMs += stepMs;
    addToTally(tally, event);
    await view.event(event, tally);
  }
  await view.end(tally);
  return { out: io.out(), err: io.err().trimEnd().split('\n') };
}

const START = `tail-log 1.2.0 on 1 node, execution ${EXECUTION_ID}`;

describe('an execution for a person', () => {
  const { accepted, running, log, progress, succeeded, outcome, final } = createEvents();

  it('of one run is its status, then its fields alone', async () => {
    const { out, err } = await show([
      accepted(1),
      running('web01'),
      succeeded('web01', { os: 'Debian', load: { one: 1 } }),
      final(ExecutionState.SUCCEEDED),
    ]);
    assert.deepEqual(err, [START, 'web01  succeeded in 1.2 s']);
    assert.equal(out, 'os: Debian\nload:\n  one: 1\n');
  });

  it('of one run without an answer prints nothing on stdout', async () => {
    assert.equal((await show([accepted(1), succeeded('web01'), final(ExecutionState.SUCCEEDED)])).out, '');
  });

  it('of one run whose result was not kept says how large it was, on standard error', async () => {
    const result = Result.fromPartial({ notKeptBytes: 2048, outputOmitted: true });
    const { out, err } = await show([accepted(1), outcome('web01', { state: RunState.SUCCEEDED, result })]);
    assert.equal(out, '');
    assert.ok(
      err.includes('  its result of 2.0 KiB was not kept: too many results of one execution'),
      err.join(),
    );
  });

  it('of no runs says so', async () => {
    const { err } = await show([accepted(0), final(ExecutionState.SUCCEEDED)]);
    assert.deepEqual(err, [`tail-log 1.2.0 on 0 nodes, execution ${EXECUTION_ID}`, 'no nodes in 0 s']);
  });

  it('says how long the execution took by its own times, however fast they are shown', async () => {
    const at = (event: RunResponse, seconds: number) => ({ ...event, at: new Date(seconds * 1000) });
    const { err } = await show([
      at(accepted(2), 0),
      at(succeeded('web01'), 3),
      at(final(ExecutionState.SUCCEEDED), 42),
    ]);
    assert.equal(err.at(-1), '1 succeeded in 42 s');
  });

  it('prints progress at most once a second, and the last', async () => {
    const steps = [10, 20, 30, 40, 100].map((percent) => progress('web01', percent, 'copying'));
    const { err } = await show([accepted(1), ...steps], 500);
    assert.deepEqual(err.slice(1, -1), [
      'web01  10 % copying',
      'web01  30 % copying',
      'web01  100 % copying',
    ]);
  });

  it('prefixes each log line with its node', async () => {
    const { err } = await show([
      accepted(1),
      log('web01', 'one'),
      log('web01', '', 4),
      log('web01', 'two', 3),
    ]);
    assert.deepEqual(err.slice(1, 4), ['web01 | one', 'web01 | error:', 'web01 | warn: two']);
  });

  it('shows the end of standard error only where the log was not shown', async () => {
    const error = failure('PLUGIN_CRASHED', 'It ended without an answer.', 'web01');
    error.errorData!.data!.stderrTail = 'the tail';
    error.errorData!.data!.exitCode = 3;
    const failed = outcome('web01', { state: RunState.FAILED, error });
    assert.ok((await show([accepted(1), failed])).err.includes('    the tail'));
    const logged = (await show([accepted(1), log('web01', 'the tail'), failed])).err;
    assert.equal(logged.filter((line) => line.includes('the tail')).length, 1);
    assert.ok(logged.includes('  exit code 3'));
  });

  const remarks: [string, Parameters<typeof outcome>[1], string[]][] = [
    [
      'a timeout with its confirmed kill',
      {
        state: RunState.TIMED_OUT,
        startedAt: new Date(0),
        cancelConfirmed: true,
        stopReason: StopReason.TIMEOUT,
      },
      ['web01  timed out after 1.2 s', '  kill confirmed: nothing of it is left on the node'],
    ],
    [
      'a cancelled run that had not started',
      { state: RunState.CANCELLED },
      ['web01  cancelled after 1.2 s', '  it had not started on the node'],
    ],
    [
      'a lost run and when the node stops it',
      { state: RunState.LOST, stoppedOnNodeBy: new Date('2026-01-02T03:04:05Z') },
      ['web01  LOST after 1.2 s', '  the node stops it by itself at 2026-01-02T03:04:05.000Z at the latest'],
    ],
    [
      'what may be left on the node',
      { state: RunState.SUCCEEDED, maySurvive: true, leftProcesses: 2, logDroppedBytes: 10 },
      [
        'web01  succeeded in 1.2 s',
        '  something it started may still be alive on web01',
        '  processes alive after its end: 2',
        '  bytes of its log that were not passed on: 10',
      ],
    ],
    [
      'that a dry run changed nothing',
      { state: RunState.SUCCEEDED, result: { dryRun: true } },
      ['web01  succeeded in 1.2 s', '  dry run: it changed nothing'],
    ],
  ];
  for (const [what, fields, expected] of remarks) {
    it(`says ${what}`, async () => {
      const { err } = await show([
        accepted(1),
        running('web01'),
        outcome('web01', fields),
        final(ExecutionState.FAILED),
      ]);
      assert.deepEqual(err.slice(1), expected);
    });
  }

  it('says what of a log was not kept', async () => {
    const truncated = {
      ...log('web01', ''),
      event: { $case: 'logTruncated' as const, value: { droppedBytes: 99 } },
    };
    const { err } = await show([accepted(1), running('web01'), truncated]);
    assert.equal(err[1], 'web01 | (99 bytes of log not kept)');
  });

  it('says what a run waits for, and when it is tried again', async () => {
    const until = new Date('2026-11-22T20:10:00Z');
    const since = new Date('2026-11-22T20:00:00Z');
    const holder = { executionId: 'x1', runId: 'r1', node: 'www', action: 're\u001bstart', since };
    const error = toEps(new RuneError('NODE_UNREACHABLE', 'No route.'), { source: 'lmm' });
    const events: NonNullable<RunResponse['event']>[] = [
      { $case: 'waiting', value: LockWait.fromPartial({ place: 2, until, holder }) },
      { $case: 'waiting', value: LockWait.fromPartial({ place: 1, until, holder: { ...holder, until } }) },
      {
        $case: 'waiting',
        value: LockWait.fromPartial({ place: 3, until, limit: { action: 're\u001bstart', running: 2 } }),
      },
      { $case: 'retry', value: Retry.fromPartial({ error, nextAttempt: 2, nextAt: until }) },
      {
        $case: 'retry',
        value: Retry.fromPartial({ nextAttempt: 3, nextAt: until, outcome: { state: RunState.LOST } }),
      },
    ];
    const { err } = await show([accepted(1), ...events.map((event) => ({ ...log('web01', ''), event }))]);
    assert.deepEqual(err.slice(1, 6), [
      'web01  waits at place 2 behind re\\x1bstart (execution x1, since 2026-11-22T20:00:00Z), until 2026-11-22T20:10:00Z at most',
      'web01  waits at place 1 behind re\\x1bstart (execution x1, since 2026-11-22T20:00:00Z, LOST, keeps it until 2026-11-22T20:10:00Z), until 2026-11-22T20:10:00Z at most',
      'web01  waits at place 3 behind 2 runs of re\\x1bstart, as many as its manifest allows, until 2026-11-22T20:10:00Z at most',
      'web01  attempt 1 did not start, attempt 2 at 2026-11-22T20:10:00Z  NODE_UNREACHABLE: No route.',
      'web01  attempt 2 is LOST, attempt 3 at 2026-11-22T20:10:00Z',
    ]);
  });

  it('of many runs on a terminal counts successes and shows failures as they come', async () => {
    const io = createFakeIo({ terminal: true, env: { TERM: 'xterm', NO_COLOR: '1' } });
    const view = createPrettyView(io);
    const tally = createTally();
    const nodes = Array.from({ length: 30 }, (_, at) => `node${at}`);
    for (const event of [
      accepted(nodes.length),
      ...nodes.slice(1).map((node) => succeeded(node, { node })),
      running('node0'),
      outcome('node0', { state: RunState.FAILED, error: failure('NODE_UNREACHABLE', 'Down.', 'node0') }),
    ]) {
      addToTally(tally, event);
      await view.event(event, tally);
    }
    assert.doesNotMatch(io.err(), /node1 {2}succeeded/);
    assert.match(io.err(), /node0 {2}failed after 1\.2 s {2}NODE_UNREACHABLE: Down\./);
    assert.match(io.err(), /29 of 30 done \(29 succeeded\), 1 waiting, 0 s/);
    assert.match(io.out(), /node1:\n {2}node: node1\n/);
    await view.end(tally);
  });

  it('reads a result that was too large to decode from its exact text', async () => {
    const result = { outputJson: Buffer.from('{"big":true}'), outputOmitted: true };
    const { out } = await show([accepted(1), outcome('web01', { state: RunState.SUCCEEDED, result })]);
    assert.equal(out, 'big: true\n');
  });
});
