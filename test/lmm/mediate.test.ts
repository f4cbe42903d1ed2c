import assert from 'node:assert/strict';
import { Delivery } from '../../services/shared/gen/rune/v1/mrs.js';
import { randomUUID } from 'node:crypto';
import { LogLines, RunState, StopReason } from '../../services/shared/gen/rune/v1/run.js';
import { RuneError } from '../../services/shared/errors.js';
import type { NodeCommand } from '../../services/lmm/transports/transport.js';
import { mediatorWith, sha256, startMessage } from '../support/scripted-mediator.js';
import { ended, lost, untilStopped } from '../support/scripted-transport.js';
import { header, plugin, script, succeed, eventsOf, outcomeOf, cancel, refusal } from './mediate-calls.js';

describe('the mediator', () => {
  it('numbers the events of a run from accepted to outcome without gaps', async () => {
    const events = await eventsOf(mediatorWith(succeed));
    assert.deepEqual(
      events.map(({ eventNo, event }) => [eventNo, event.$case]),
      [
        [1, 'accepted'],
        [2, 'state'],
        [3, 'outcome'],
      ],
    );
  });

  it('hands the node exactly the bytes that the digest names', async () => {
    let seen: NodeCommand | undefined;
    await eventsOf(
      mediatorWith((command, sink) => {
        seen = command;
        return succeed(command, sink);
      }),
      { paramsJson: Buffer.from('{"a":1.0}') },
    );
    assert.deepEqual(seen?.script, script);
    assert.ok(seen?.input.toString().includes('"input_parameters":{"a":1.0}'));
  });

  it('hands the node what else belongs to the plugin, as its delivery wants it', async () => {
    const helper = Buffer.from('helper() { :; }');
    const seen: NodeCommand[] = [];
    const mediator = mediatorWith((command, sink) => {
      seen.push(command);
      return succeed(command, sink);
    });
    const whole = {
      ...plugin,
      files: [{ path: 'lib/helper.sh', blob: { sha256: sha256(helper), content: helper } }],
      arguments: ['-w', '5 %'],
      requires: { commands: ['docker'], os: [{ id: 'debian', versionMin: '11' }] },
      leavesProcesses: true,
      systemdScope: true,
    };
    await eventsOf(mediator, { plugin: whole });
    await eventsOf(mediator, { plugin: { ...whole, delivery: Delivery.DIRECTORY } });
    const [stream, directory] = seen;
    assert.equal(stream?.helpers.toString(), 'helper() { :; }\n');
    assert.deepEqual(stream?.files, []);
    assert.deepEqual(directory?.files, [{ path: 'lib/helper.sh', bytes: helper }]);
    assert.equal(directory?.helpers.length, 0);
    for (const command of seen) {
      assert.deepEqual(command.arguments, whole.arguments);
      assert.deepEqual(command.requires, whole.requires);
      assert(command.leavesProcesses && command.systemdScope);
    }
  });

  it('says how `local` is switched on where it is not', () => {
    assert.throws(
      () => mediatorWith(succeed).start(startMessage({ target: { name: 'n', transport: 'local' } }), header),
      { name: 'TRANSPORT_NOT_AVAILABLE', message: /"local": set local_enabled: true/ },
    );
  });

  it('asks for plugin bytes that it does not hold, and never again once it has them', async () => {
    const mediator = mediatorWith(succeed);
    const without = { plugin: { script: { sha256: sha256(script) } } };
    assert.equal(refusal(mediator, without), 'PLUGIN_CONTENT_NEEDED');
    await eventsOf(mediator);
    assert.equal((await outcomeOf(mediator, without)).state, RunState.SUCCEEDED);
  });

  it('starts a run id once, also after the run has ended', async () => {
    const mediator = mediatorWith(succeed);
    const runId = randomUUID();
    await eventsOf(mediator, { runId });
    assert.equal(refusal(mediator, { runId }), 'RUN_ALREADY_EXISTS');
  });

  it('refuses more runs than it may have, and takes one again when one has ended', async () => {
    const mediator = mediatorWith((_command, _sink, stop) => untilStopped(stop));
    const runs = [mediator.start(startMessage(), header), mediator.start(startMessage(), header)];
    assert.equal(refusal(mediator, {}), 'MEDIATOR_FULL');
    cancel(mediator, runs[0]!.runId);
    await runs[0]!.finished;
    const third = mediator.start(startMessage(), header);
    for (const run of [runs[1]!, third]) cancel(mediator, run.runId);
    await Promise.all([runs[1]!.finished, third.finished]);
  });

  it('tells in the outcome why a run was cancelled, the first reason only and not without end', async () => {
    const mediator = mediatorWith((_command, _sink, stop) => untilStopped(stop));
    const messageAfter = async (...reasons: string[]): Promise<string | undefined> => {
      const run = mediator.start(startMessage(), header);
      for (const reason of reasons) cancel(mediator, run.runId, reason);
      return (await run.finished).error?.errorData?.message;
    };
    assert.equal(await messageAfter('maintenance.', 'other'), 'The run was cancelled: maintenance.');
    assert.equal(await messageAfter(''), 'The run was cancelled.');
    assert.ok(((await messageAfter('x'.repeat(5000))) ?? '').length < 250);
  });

  it('cancels a run and reports what the node confirmed', async () => {
    const mediator = mediatorWith((_command, sink, stop) => {
      sink.started();
      return untilStopped(stop);
    });
    const run = mediator.start(startMessage(), header);
    cancel(mediator, run.runId);
    cancel(mediator, run.runId);
    const outcome = await run.finished;
    assert.equal(outcome.state, RunState.CANCELLED);
    assert.equal(outcome.stopReason, StopReason.CANCEL);
    assert.equal(outcome.cancelConfirmed, true);
    assert.equal(outcome.signal, 'TERM');
    cancel(mediator, run.runId);
    mediator.acknowledge({ lmmInstanceId: 'this-process', runIds: [run.runId] });
    assert.throws(() => cancel(mediator, run.runId), { name: 'RUN_NOT_FOUND' });
  });

  it('goes on with a run whose reader has left, and cancels it after orphan_after', async () => {
    const mediator = mediatorWith((_command, _sink, stop) => untilStopped(stop));
    const limits = { orphanAfter: { seconds: 0, nanos: 50_000_000 } };
    const run = mediator.start(startMessage({ limits }), header);
    for await (const { event } of run.events(new AbortController().signal)) {
      assert.equal(event.$case, 'accepted');
      break;
    }
    assert.equal(mediator.runCount, 1);
    const outcome = await run.finished;
    assert.deepEqual([outcome.state, outcome.stopReason], [RunState.CANCELLED, StopReason.ORPHANED]);
  });

  it('holds the node back while the reader is behind, and loses nothing', async () => {
    const line = Buffer.from(`${'x'.repeat(99)}\n`);
    let waited = 0;
    const mediator = mediatorWith(async (command, sink) => {
      for (let sent = 0; sent < 1000; sent++) {
        const room = sink.stderr(line);
        if (room !== undefined) waited++;
        await room;
      }
      return succeed(command, sink);
    });
    let lines = 0;
    for await (const { event } of mediator
      .start(startMessage(), header)
      .events(new AbortController().signal)) {
      await new Promise(setImmediate);
      if (event.$case === 'log') lines += LogLines.decode(event.value.lines).lines.length;
      if (event.$case === 'outcome') assert.equal(event.value.logDroppedBytes, 0);
    }
    assert.equal(lines, 1000);
    assert.ok(waited > 10, `held back ${waited} times`);
  });

  it('lets a cancelled run end although its reader stalls, and counts what it dropped', async () => {
    const mediator = mediatorWith(async (_command, sink, stop) => {
      while (!stop.aborted) await sink.stderr(Buffer.alloc(100, 'x\n'));
      for (let more = 0; more < 1000; more++) void sink.stderr(Buffer.alloc(100, 'x\n'));
      return ended(143, { end: { signal: 'TERM' }, stopReason: StopReason.CANCEL });
    });
    const run = mediator.start(startMessage(), header);
    const reader = run.events(new AbortController().signal);
    await reader.next();
    cancel(mediator, run.runId);
    await run.finished;
    let announced = 0;
    for await (const { event } of reader) {
      if (event.$case === 'log') announced += event.value.droppedBytes;
      if (event.$case !== 'outcome') continue;
      assert.equal(event.value.state, RunState.CANCELLED);
      assert.ok(event.value.logDroppedBytes > 0);
      assert.equal(event.value.logDroppedBytes, announced);
    }
  });

  it('holds a node back that floods it with progress, and lets nothing pile up when nobody reads', async () => {
    const line = Buffer.from(`\x1eRUNE {"type":"progress","percent":1,"message":"${'x'.repeat(900)}"}\n`);
    let waited = 0;
    let dropped = 0;
    const mediator = mediatorWith(async (command, sink) => {
      for (let sent = 0; sent < 200; sent++) {
        const room = sink.stderr(line);
        if (room === undefined) dropped++;
        else waited++;
        await room;
      }
      return succeed(command, sink);
    });
    for await (const event of mediator.start(startMessage(), header).events(new AbortController().signal)) {
      await new Promise(setImmediate);
      assert.ok(event);
    }
    assert.ok(waited > 20, `held back ${waited} times`);

    [waited, dropped] = [0, 0];
    const run = mediator.start(startMessage(), header);
    for await (const { event } of run.events(new AbortController().signal)) {
      assert.equal(event.$case, 'accepted');
      break;
    }
    await run.finished;
    assert.ok(dropped > 190, `${dropped} of 200 were not waited for`);
  });

  it('keeps what is known of an ending whose answer it cannot make out', async () => {
    const deep = `{"error":{"code":3,"message":"no","details":${'['.repeat(40_000)}${']'.repeat(40_000)}}}`;
    const mediator = mediatorWith(
      async (_command, sink) => {
        sink.started();
        await sink.stdout(Buffer.from(deep));
        return ended(3, { stopReason: StopReason.TIMEOUT, confirmed: false, maySurvive: true });
      },
      { settings: { outputBytesMax: { default: 200_000, max: 200_000 } } },
    );
    const outcome = await outcomeOf(mediator);
    assert.equal(outcome.state, RunState.TIMED_OUT);
    assert.equal(outcome.cancelConfirmed, false);
    assert.equal(outcome.maySurvive, true);
    assert.equal(outcome.exitCode, 3);
  });

  it('never says that nothing ran when a transport fails after the plugin began', async () => {
    const mediator = mediatorWith(async (_command, sink) => {
      sink.started();
      throw new Error('a fault of ours');
    });
    assert.equal((await outcomeOf(mediator)).state, RunState.LOST);
  });

  it('drops and counts what is beyond the log limit', async () => {
    const limits = { logBytesMax: 300 };
    const mediator = mediatorWith(async (command, sink) => {
      for (let sent = 0; sent < 10; sent++) await sink.stderr(Buffer.from(`${'x'.repeat(99)}\n`));
      return succeed(command, sink);
    });
    const outcome = await outcomeOf(mediator, { limits });
    assert.equal(outcome.logDroppedBytes, 700);
  });

  it('keeps the start of a result that is too large', async () => {
    const mediator = mediatorWith(async (_command, sink) => {
      sink.started();
      await sink.stdout(Buffer.alloc(700, 'a'));
      await sink.stdout(Buffer.alloc(700, 'b'));
      return ended(0);
    });
    const outcome = await outcomeOf(mediator);
    assert.equal(outcome.error?.errorData?.name, 'RESULT_TOO_LARGE');
    assert.equal(outcome.error?.errorData?.data?.evidence, `${'a'.repeat(700)}${'b'.repeat(324)}`);
  });

  it('checks the result against the output schema', async () => {
    const outputSchema = JSON.stringify({
      type: 'object',
      properties: { n: { type: 'string' } },
      required: ['n'],
    });
    const outcome = await outcomeOf(mediatorWith(succeed), { outputSchema });
    assert.equal(outcome.state, RunState.FAILED);
    assert.equal(outcome.error?.errorData?.name, 'OUTPUT_SCHEMA_MISMATCH');
    assert.equal(outcome.error?.errorData?.data?.validationErrors[0]?.field, 'output.n');
    assert.equal(outcome.result?.outputJson.toString(), '{"n":1}');
  });

  it('reports a lost link as lost, never as a failure or a success', async () => {
    const outcome = await outcomeOf(mediatorWith(() => Promise.resolve(lost('the connection closed'))));
    assert.equal(outcome.state, RunState.LOST);
    assert.equal(outcome.error?.errorData?.name, 'OUTCOME_UNKNOWN');
    assert.equal(outcome.stoppedOnNodeBy?.getTime(), 5000);
    assert.equal(outcome.maySurvive, true);
  });

  it('reports a node that could not be reached as a failure in which nothing ran', async () => {
    const outcome = await outcomeOf(
      mediatorWith(() => Promise.reject(new RuneError('NODE_UNREACHABLE', 'Connection refused.'))),
    );
    assert.equal(outcome.state, RunState.FAILED);
    assert.equal(outcome.error?.errorData?.name, 'NODE_UNREACHABLE');
    assert.equal(outcome.error?.errorData?.data?.node, 'web01');
    assert.equal(outcome.startedAt, undefined);
  });

  it('lets runs end by themselves when it drains, stops the rest, and takes nothing new', async () => {
    let finish = (): void => undefined;
    const mediator = mediatorWith((command, sink, stop) =>
      command.timeoutMs === 5000
        ? new Promise((resolve) => (finish = () => void succeed(command, sink).then(resolve)))
        : untilStopped(stop),
    );
    const short = mediator.start(startMessage({ limits: { timeout: { seconds: 5, nanos: 0 } } }), header);
    const long = mediator.start(startMessage(), header);
    const drained = mediator.drain(100);
    assert.equal(refusal(mediator, {}), 'SERVICE_SHUTTING_DOWN');
    finish();
    await drained;
    assert.equal((await short.finished).state, RunState.SUCCEEDED);
    assert.equal((await long.finished).stopReason, StopReason.SHUTDOWN);
    assert.equal(mediator.runCount, 0);
  });
});
