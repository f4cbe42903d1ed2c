import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type {
  MediateAttach,
  MediatedRun,
  MediateResponse,
} from '../../../services/shared/gen/rune/v1/lmm.js';
import {
  AckRunRequest,
  CancelRunRequest,
  ListRunsRequest,
} from '../../../services/shared/gen/rune/v1/lmm.js';
import { RunState, StopReason, type Outcome } from '../../../services/shared/gen/rune/v1/run.js';
import { RuneError } from '../../../services/shared/errors.js';
import { newId } from '../../../services/shared/messages/ids.js';
import { packageRoot } from '../../../services/shared/process/package-root.js';
import type { MediatorSettings } from '../../../services/lmm/mediate.js';
import { eventually } from '../../support/eventually.js';
import { serveMediator, type MediatorServer } from '../../support/mediator-server.js';
import { mediatorWith, pluginOf, startMessage, type StartFields } from '../../support/scripted-mediator.js';
import { ended, type NodeScript } from '../../support/scripted-transport.js';
import { rejectionOf } from '../../support/thrown-by.js';

const INSTANCE = 'this-process';
const MIB = 1024 ** 2;

/** A plugin on a node that does what a test tells it. */
interface Actor {
  /** One line of log; settles when the node may go on. */
  log(text: string): Promise<void>;
  /** A progress line, which also ends the batch of log before it. */
  progress(): Promise<void>;
  succeed(outputJson?: string): void;
}

type Stream = AsyncGenerator<MediateResponse, void, undefined>;

describe('the delivery of runs', () => {
  let server: MediatorServer;
  let mediator: ReturnType<typeof mediatorWith>;
  const actors = new Map<string, Actor>();

  const script: NodeScript = ({ runId }, sink, stop) =>
    new Promise((resolve) => {
      sink.started();
      const say = async (line: string): Promise<void> => sink.stderr(Buffer.from(`${line}\n`));
      actors.set(runId, {
        log: say,
        progress: () => say('\x1eRUNE {"type":"progress","percent":1,"message":"on"}'),
        succeed(outputJson = '{}') {
          void sink.stdout(Buffer.from(`{"payload":{"result":"success","output_data":${outputJson}}}`));
          resolve(ended(0));
        },
      });
      stop.addEventListener('abort', () =>
        resolve(ended(143, { end: { signal: 'TERM' }, stopReason: stop.reason as StopReason })),
      );
    });

  const open = async (settings: Partial<MediatorSettings> = {}, instanceId = INSTANCE): Promise<void> => {
    mediator = mediatorWith(script, { settings: { runsMax: 50, ...settings }, instanceId, local: true });
    server = await serveMediator(mediator);
  };
  const actor = (runId: string): Actor => actors.get(runId) ?? assert.fail('the node was not reached');

  const start = (fields: StartFields = {}, client = server.client): Stream =>
    client.mediate({ header: undefined, command: { $case: 'start', value: startMessage(fields) } });
  const attach = (runId: string, fields: Partial<MediateAttach> = {}, client = server.client): Stream => {
    const value = { runId, lmmInstanceId: INSTANCE, afterEvent: 0, ownerEpoch: 0, ...fields };
    return client.mediate({ header: undefined, command: { $case: 'attach', value } });
  };
  const cancel = (runId: string, fields: Partial<CancelRunRequest> = {}): Promise<unknown> =>
    server.client.cancelRun(CancelRunRequest.fromPartial({ runId, ...fields }));
  const acknowledge = (...runIds: string[]): Promise<unknown> =>
    server.client.ackRun(AckRunRequest.fromPartial({ lmmInstanceId: INSTANCE, runIds }));
  const listed = async (): Promise<MediatedRun[]> =>
    (await server.client.listRuns(ListRunsRequest.fromPartial({ pageSize: 1000 }))).runs;
  const find = async (runId: string): Promise<MediatedRun | undefined> =>
    (await listed()).find((run) => run.runId === runId);

  /** Reads so many messages. */
  const take = async (stream: Stream, count: number): Promise<MediateResponse[]> => {
    const messages: MediateResponse[] = [];
    while (messages.length < count) {
      const { value, done } = await stream.next();
      if (done === true) break;
      messages.push(value);
    }
    return messages;
  };
  const rest = (stream: Stream): Promise<MediateResponse[]> => take(stream, Infinity);
  const numbers = (messages: readonly MediateResponse[]): number[] => messages.map(({ eventNo }) => eventNo);
  const texts = (messages: readonly MediateResponse[]): string[] =>
    messages.flatMap(({ event }) =>
      event?.$case === 'log' ? event.value.lines.map(({ content }) => String(content?.value)) : [],
    );
  const outcomeOf = (messages: readonly MediateResponse[]): Outcome => {
    const last = messages.at(-1)?.event;
    return last?.$case === 'outcome' ? last.value : assert.fail('the last message is no outcome');
  };
  const refused = async (name: string, calling: Promise<unknown>): Promise<RuneError> => {
    const error = await rejectionOf(calling);
    assert.equal(error.name, name);
    assert.equal(error.facts.lmmInstanceId, mediator.instanceId);
    return error;
  };

  /** Starts a run, reads until the plugin runs, and leaves the stream open. */
  const begin = async (fields: StartFields = {}): Promise<{ runId: string; stream: Stream }> => {
    const runId = newId();
    const stream = start({ runId, ...fields });
    assert.deepEqual(numbers(await take(stream, 2)), [1, 2]);
    return { runId, stream };
  };
  const leave = async (runId: string, stream: Stream): Promise<void> => {
    await stream.return();
    await eventually(async () => (await find(runId))?.attached !== true, { label: 'the leaving' });
  };
  /** A run whose reader left before its end. */
  const endUnread = async (fields: StartFields = {}, outputJson = '{}'): Promise<string> => {
    const { runId, stream } = await begin(fields);
    await leave(runId, stream);
    actor(runId).succeed(outputJson);
    await eventually(async () => (await find(runId))?.state !== RunState.RUNNING, { label: 'the end' });
    return runId;
  };
  const orphanAfter = (ms: number): StartFields => ({
    limits: { orphanAfter: { seconds: 0, nanos: ms * 1_000_000 } },
  });

  afterEach(async () => {
    await server.stop();
    actors.clear();
  });

  describe('to a reader that attaches', () => {
    it('is exactly the rest from every event on, while the run goes on and after its end', async () => {
      await open();
      const { runId, stream } = await begin();
      const replaced = refused('READER_REPLACED', rest(stream));
      for (const text of ['a', 'b']) {
        await actor(runId).log(text);
        await actor(runId).progress();
      }
      await eventually(async () => (await find(runId))?.lastEvent === 6, { label: 'the events' });
      for (let after = 0; after < 6; after++) {
        const expected = [1, 2, 3, 4, 5, 6].slice(after);
        const again = attach(runId, { afterEvent: after });
        assert.deepEqual(numbers(await take(again, expected.length)), expected, `live, after ${after}`);
        await again.return();
      }
      await replaced;
      actor(runId).succeed();
      for (let after = 0; after <= 7; after++) {
        const messages = await rest(attach(runId, { afterEvent: after }));
        assert.deepEqual(numbers(messages), [1, 2, 3, 4, 5, 6, 7].slice(after), `ended, after ${after}`);
        if (after < 3) assert.deepEqual(texts(messages), ['a', 'b']);
        if (after < 7) assert.equal(outcomeOf(messages).state, RunState.SUCCEEDED);
      }
    });

    it('names the process and answers the request in the first message, whatever its number', async () => {
      await open();
      const { runId, stream } = await begin();
      const [first, second] = await take(attach(runId, { afterEvent: 0 }), 2);
      assert.deepEqual([first?.lmmInstanceId, second?.lmmInstanceId], [INSTANCE, '']);
      const [later] = await take(attach(runId, { afterEvent: 1 }), 1);
      assert.equal(later?.lmmInstanceId, INSTANCE);
      assert.equal(later.header?.messageMetadata?.version, '1.0');
      await refused('READER_REPLACED', rest(stream));
    });

    it('ends with the outcome also where the node only said why it could not begin', async () => {
      const why: NodeScript = (_command, sink) => {
        void sink.stderr(Buffer.from('cannot fork\n'));
        return Promise.reject(new RuneError('NODE_SETUP_FAILED', 'The node could not begin.'));
      };
      mediator = mediatorWith(why, { instanceId: INSTANCE });
      server = await serveMediator(mediator);
      const runId = newId();
      const live = await rest(start({ runId }));
      // Long enough for a batch of log that was not complete.
      await delay(50);
      const later = await rest(attach(runId));
      for (const messages of [live, later]) {
        assert.deepEqual(texts(messages), ['cannot fork']);
        assert.equal(outcomeOf(messages).error?.errorData?.name, 'NODE_SETUP_FAILED');
      }
    });

    it('says at once that the run is there, and nothing of that where it is not', async () => {
      await open();
      const { runId, stream } = await begin();
      const replaced = refused('READER_REPLACED', rest(stream));
      const accepts: string[] = [];
      const attachTo = (id: string): Stream => {
        const value = { runId: id, lmmInstanceId: INSTANCE, afterEvent: 2, ownerEpoch: 0 };
        const command = { $case: 'attach' as const, value };
        return server.client.mediate(
          { header: undefined, command },
          { onAccept: () => void accepts.push(id) },
        );
      };
      const silent = attachTo(runId);
      await eventually(() => accepts.length === 1, { label: 'the answer' });
      await silent.return();
      await replaced;
      await refused('RUN_NOT_FOUND', rest(attachTo(newId())));
      assert.deepEqual(accepts, [runId]);
    });

    it('goes on where a stream was cut in the middle of the log', async () => {
      await open({ unreadBytesMax: MIB, replayBytesMax: MIB });
      const { runId, stream } = await begin();
      const lines = Array.from({ length: 400 }, (_, n) => `line ${n} ${'x'.repeat(100)}`);
      const saying = (async () => {
        for (const line of lines) await actor(runId).log(line);
        actor(runId).succeed();
      })();
      const record = await take(stream, 5);
      await stream.return();
      while (record.at(-1)?.event?.$case !== 'outcome') {
        const part = attach(runId, { afterEvent: record.at(-1)?.eventNo ?? 0 }, server.connect());
        record.push(...(await take(part, 7)));
        await part.return();
      }
      await saying;
      assert.deepEqual(texts(record), lines);
      const first = record[0]?.eventNo ?? 0;
      assert.deepEqual(
        numbers(record),
        record.map((_, index) => first + index),
      );
      assert.equal(outcomeOf(record).logDroppedBytes, 0);
    });

    it('goes on with the log of a real bash', async () => {
      await open({ unreadBytesMax: MIB, replayBytesMax: MIB, batchBytesMax: 2000 });
      const runId = newId();
      const plugin = pluginOf(
        Buffer.from(
          'i=0; while ((i++ < 2000)); do echo "line $i" >&2; done; ' +
            `printf '{"payload":{"result":"success","output_data":{}}}'`,
        ),
      );
      const first = start({ runId, plugin, target: { name: 'here', transport: 'local' } });
      const record = await take(first, 6);
      await first.return();
      record.push(...(await rest(attach(runId, { afterEvent: record.at(-1)?.eventNo ?? 0 }))));
      assert.deepEqual(
        texts(record),
        Array.from({ length: 2000 }, (_, n) => `line ${n + 1}`),
      );
      assert.equal(outcomeOf(record).state, RunState.SUCCEEDED);
    });

    it('says how much log is missing when more was printed than is kept', async () => {
      await open({ unreadBytesMax: 4096, replayBytesMax: 4096 });
      const { runId, stream } = await begin();
      await leave(runId, stream);
      const line = 'x'.repeat(99);
      for (let n = 0; n < 1000; n++) await actor(runId).log(line);
      await actor(runId).progress();
      actor(runId).succeed();
      const messages = await rest(attach(runId, { afterEvent: 2 }));
      const missing = (1000 - texts(messages).length) * 100;
      assert.ok(missing > 80_000, `${missing} bytes`);
      const [first] = messages;
      assert.ok(first?.event?.$case === 'log');
      assert.equal(first.event.value.droppedBytes, missing);
      assert.equal(outcomeOf(messages).logDroppedBytes, missing);
    });

    it('ends for the reader before, which learns why', async () => {
      await open();
      const { runId, stream } = await begin();
      const second = attach(runId);
      await take(second, 2);
      await refused('READER_REPLACED', rest(stream));
      const third = attach(runId, { afterEvent: 1 });
      await take(third, 1);
      await refused('READER_REPLACED', rest(second));
      actor(runId).succeed();
      assert.equal(outcomeOf(await rest(third)).state, RunState.SUCCEEDED);
    });

    it('needs a position that there is, and the name of a process', async () => {
      await open();
      const { runId } = await begin();
      const error = await refused('FIELD_OUT_OF_RANGE', rest(attach(runId, { afterEvent: 3 })));
      assert.equal(error.facts.expectedFormat, '0 to 2');
      await refused('FIELD_MISSING', rest(attach(runId, { lmmInstanceId: '' })));
      await refused('FIELD_MALFORMED', rest(attach('../x')));
    });
  });

  describe('to a reader that does not read', () => {
    it('costs bounded memory and holds the node back, and nothing is lost when it reads on', async () => {
      const bounds = { unreadBytesMax: 64 * 1024, replayBytesMax: 64 * 1024, batchBytesMax: 8192 };
      await open({ ...bounds, logBytesMax: { default: 100 * MIB, max: 100 * MIB } });
      const { runId, stream } = await begin();
      const line = 'x'.repeat(1000);
      const LINES = 3000;
      let printed = 0;
      const printing = (async () => {
        for (; printed < LINES; printed++) await actor(runId).log(line);
        actor(runId).succeed();
      })();
      let before = -1;
      await eventually(
        () => {
          const stands = printed === before;
          before = printed;
          return stands && printed > 0;
        },
        { label: 'the node to be held back', pauseMs: 50 },
      );
      assert.ok(printed < LINES / 2, `${printed} lines were printed`);
      assert.equal((await find(runId))?.attached, true);
      const messages = await rest(stream);
      await printing;
      assert.equal(texts(messages).length, LINES);
      assert.equal(outcomeOf(messages).logDroppedBytes, 0);
    });

    it('is not the loss of an owner: only a run with no stream is stopped after orphan_after', async () => {
      await open();
      const stalled = await begin(orphanAfter(100));
      for (let n = 0; n < 200; n++) void actor(stalled.runId).log('x'.repeat(1000));
      const orphan = await begin(orphanAfter(100));
      await orphan.stream.return();
      await eventually(async () => (await find(orphan.runId))?.state === RunState.CANCELLED, {
        label: 'the end of the orphan',
      });
      const second = await begin(orphanAfter(100));
      await second.stream.return();
      await eventually(async () => (await find(second.runId))?.state === RunState.CANCELLED, {
        label: 'the end of the second orphan',
      });
      assert.equal((await find(stalled.runId))?.state, RunState.RUNNING);
      const outcome = outcomeOf(await rest(attach(orphan.runId)));
      assert.deepEqual([outcome.state, outcome.stopReason], [RunState.CANCELLED, StopReason.ORPHANED]);
      await stalled.stream.return();
      await eventually(async () => (await find(stalled.runId))?.state === RunState.CANCELLED, {
        label: 'the end of the run that was left',
      });
    });

    it('does not stand in the way of the next owner, also when its process is frozen', async () => {
      await open({ unreadBytesMax: 64 * 1024, replayBytesMax: MIB });
      const { runId, stream } = await begin();
      await leave(runId, stream);
      const program = join(packageRoot, 'dist/test/support/attached-reader.js');
      const frozen = fork(program, [server.address, runId, INSTANCE]);
      try {
        await once(frozen, 'message');
        frozen.kill('SIGSTOP');
        const line = 'x'.repeat(1000);
        const printing = (async () => {
          for (let n = 0; n < 900; n++) await actor(runId).log(line);
          actor(runId).succeed();
        })();
        const owner = server.connect();
        const next = attach(runId, { afterEvent: 2, ownerEpoch: 2 }, owner);
        const messages = await rest(next);
        await printing;
        assert.equal(texts(messages).length, 900);
        assert.equal(outcomeOf(messages).state, RunState.SUCCEEDED);
        await owner.ackRun(AckRunRequest.fromPartial({ lmmInstanceId: INSTANCE, runIds: [runId] }));
        const told = once(frozen, 'message');
        frozen.kill('SIGCONT');
        assert.deepEqual(await told, [{ ended: 'READER_REPLACED' }, undefined]);
        await refused('STALE_OWNER', rest(attach(runId, { ownerEpoch: 1 })));
      } finally {
        frozen.kill('SIGKILL');
      }
    });
  });

  describe('of a run that nobody reads', () => {
    it('waits until its outcome is acknowledged, which a run that goes on is not', async () => {
      await open();
      const runId = await endUnread();
      const live = await begin();
      assert.equal(outcomeOf(await rest(attach(runId))).state, RunState.SUCCEEDED);
      assert.equal(outcomeOf(await rest(attach(runId))).state, RunState.SUCCEEDED);
      await acknowledge(runId, live.runId, newId(), 'no id');
      assert.deepEqual(
        (await listed()).map((run) => run.runId),
        [live.runId],
      );
      await refused('RUN_RECORD_GONE', rest(attach(runId)));
      await refused('RUN_NOT_FOUND', cancel(runId));
      await refused('RUN_ALREADY_EXISTS', rest(start({ runId })));
      await acknowledge(runId);
    });

    it('takes a cancel that comes after the end as done', async () => {
      await open();
      const runId = await endUnread();
      await cancel(runId);
      assert.equal(outcomeOf(await rest(attach(runId))).state, RunState.SUCCEEDED);
    });

    it('ends after outcome_keep', async () => {
      await open({ outcomeKeepMs: 150 });
      const { runId, stream } = await begin();
      actor(runId).succeed();
      await rest(stream);
      assert.ok(await find(runId));
      await eventually(async () => (await find(runId)) === undefined, { label: 'the end of the keeping' });
      await refused('RUN_RECORD_GONE', rest(attach(runId)));
    });

    it('is bounded in number, the oldest go first', async () => {
      await open({ outcomesMax: 3 });
      const runIds: string[] = [];
      for (let n = 0; n < 8; n++) {
        const { runId, stream } = await begin();
        runIds.push(runId);
        actor(runId).succeed();
        await rest(stream);
        assert.ok((await listed()).length <= 4);
      }
      assert.deepEqual(
        (await listed()).map((run) => run.runId),
        runIds.slice(-3),
      );
      for (const runId of runIds.slice(0, 5)) await refused('RUN_RECORD_GONE', rest(attach(runId)));
    });

    it('is bounded in bytes, whatever single outcomes hold', async () => {
      const outputBytesMax = { default: MIB, max: MIB };
      await open({ outcomesTotalBytesMax: 4 * MIB, outputBytesMax });
      const large = JSON.stringify({ text: 'x'.repeat(900_000) });
      for (let n = 0; n < 8; n++) {
        const { runId, stream } = await begin();
        actor(runId).succeed(large);
        const outcome = outcomeOf(await rest(stream));
        assert.equal(outcome.result?.outputJson.toString(), large);
      }
      assert.equal((await listed()).length, 4);
      const small = await endUnread();
      assert.equal((await listed()).length, 5);
      assert.ok(await find(small));
    });

    it('keeps the log of all of them together within its bound', async () => {
      await open({ unreadBytesMax: MIB, replayBytesMax: MIB, replayTotalBytesMax: 200_000 });
      const runIds: string[] = [];
      for (let n = 0; n < 6; n++) {
        const { runId, stream } = await begin();
        await leave(runId, stream);
        for (let line = 0; line < 100; line++) await actor(runId).log('x'.repeat(999));
        await actor(runId).progress();
        actor(runId).succeed();
        runIds.push(runId);
      }
      let kept = 0;
      for (const runId of runIds) {
        const messages = await rest(attach(runId));
        const lines = texts(messages).length;
        kept += lines;
        assert.equal(outcomeOf(messages).logDroppedBytes, (100 - lines) * 1000);
      }
      assert.ok(kept > 100 && kept <= 200, `${kept} lines`);
    });
  });

  describe('to owners, of which only the newest counts', () => {
    it('refuses a start, an attach and a cancel of an older one', async () => {
      await open();
      const { runId } = await begin({ ownerEpoch: 3 });
      for (const call of [
        () => rest(attach(runId, { ownerEpoch: 2 })),
        () => cancel(runId, { ownerEpoch: 2 }),
        () => rest(start({ runId, ownerEpoch: 2 })),
      ])
        assert.match((await refused('STALE_OWNER', call())).message, /epoch 2, and 3 /);
      await take(attach(runId, { ownerEpoch: 5 }), 1);
      await refused('STALE_OWNER', cancel(runId, { ownerEpoch: 4 }));
      await cancel(runId, { ownerEpoch: 6 });
      await refused('STALE_OWNER', rest(attach(runId, { ownerEpoch: 5 })));
      assert.equal((await find(runId))?.ownerEpoch, 6);
      const messages = await rest(attach(runId, { ownerEpoch: 6 }));
      assert.equal(outcomeOf(messages).state, RunState.CANCELLED);
      await acknowledge(runId);
      await refused('STALE_OWNER', rest(attach(runId, { ownerEpoch: 5 })));
      await refused('STALE_OWNER', rest(start({ runId, ownerEpoch: 5 })));
      await refused('RUN_RECORD_GONE', rest(attach(runId, { ownerEpoch: 6 })));
    });

    it('does not take a run from an older one once it has said that it never had it', async () => {
      await open();
      const runId = newId();
      await refused('RUN_NOT_FOUND', rest(attach(runId, { ownerEpoch: 2 })));
      await refused('STALE_OWNER', rest(start({ runId, ownerEpoch: 1 })));
      await refused('STALE_OWNER', rest(attach(runId, { ownerEpoch: 1 })));
      await refused('RUN_NOT_FOUND', rest(attach(runId, { ownerEpoch: 2 })));
      assert.equal(actors.has(runId), false);
      const stream = start({ runId, ownerEpoch: 2 });
      await take(stream, 2);
      actor(runId).succeed();
      assert.equal(outcomeOf(await rest(stream)).state, RunState.SUCCEEDED);
    });

    it('has nothing to say of a run that it refused', async () => {
      await open();
      const runId = newId();
      await refused('TRANSPORT_NOT_AVAILABLE', rest(start({ runId, target: { name: 'n', transport: 'x' } })));
      await refused('RUN_NOT_FOUND', rest(attach(runId)));
      await refused('RUN_NOT_FOUND', cancel(runId));
    });

    it('refuses what is meant for another process, and says which one this is', async () => {
      await open({}, 'the-process-after');
      for (const call of [
        () => rest(attach(newId())),
        () => rest(start({ lmmInstanceId: INSTANCE })),
        () => cancel(newId(), { lmmInstanceId: INSTANCE }),
        () => acknowledge(newId()),
      ])
        assert.match(
          (await refused('WRONG_INSTANCE', call())).message,
          /the-process-after, not this-process/,
        );
      const { runId, stream } = await begin({ lmmInstanceId: 'the-process-after' });
      await cancel(runId, { lmmInstanceId: 'the-process-after' });
      assert.equal(outcomeOf(await rest(stream)).state, RunState.CANCELLED);
    });
  });

  describe('as ListRuns tells of it', () => {
    it('is every run that goes on or waits, of one execution or of all, page by page', async () => {
      await open({ runsMax: 7 });
      const executionId = newId();
      const target = { name: 'web07', transport: 'scripted' };
      const { runId } = await begin({ executionId, attempt: 2, action: 'tail-log', target, ownerEpoch: 4 });
      const waiting = await endUnread();
      for (let n = 0; n < 3; n++) await begin();
      const list = (fields: Parameters<typeof ListRunsRequest.fromPartial>[0]) =>
        server.client.listRuns(ListRunsRequest.fromPartial(fields));

      const one = await list({ executionId });
      assert.deepEqual(one.runs, [
        {
          runId,
          executionId,
          attempt: 2,
          node: 'web07',
          action: 'tail-log',
          state: RunState.RUNNING,
          attached: true,
          lastEvent: 2,
          ownerEpoch: 4,
        },
      ]);
      assert.equal(one.lmmInstanceId, INSTANCE);
      assert.deepEqual([one.transports, one.runsMax, one.runsActive], [['scripted', 'local'], 7, 4]);
      const ended = (await listed()).find((run) => run.runId === waiting);
      assert.deepEqual([ended?.state, ended?.attached, ended?.lastEvent], [RunState.SUCCEEDED, false, 3]);

      const seen: string[] = [];
      let pageToken = '';
      do {
        const page = await list({ pageSize: 2, pageToken });
        assert.ok(page.runs.length <= 2);
        seen.push(...page.runs.map((run) => run.runId));
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
      assert.deepEqual(
        seen,
        (await listed()).map((run) => run.runId),
      );
      assert.equal(new Set(seen).size, 5);
      await refused('FIELD_OUT_OF_RANGE', list({ pageSize: 1001 }));
    });

    it('is acknowledged by a thousand at most, and to a process by its name', async () => {
      await open();
      await acknowledge(...Array.from({ length: 1000 }, newId));
      await refused('FIELD_OUT_OF_RANGE', acknowledge(...Array.from({ length: 1001 }, newId)));
      await refused('FIELD_MISSING', server.client.ackRun(AckRunRequest.fromPartial({})));
    });
  });

  it('is waited for by a mediator that shuts down, for what is left of its grace', async () => {
    await open();
    const runId = await endUnread();
    const orphan = await begin(orphanAfter(30));
    await orphan.stream.return();
    let over = false;
    const drained = mediator.drain(60_000).then(() => (over = true));
    await refused('SERVICE_SHUTTING_DOWN', rest(start()));
    await eventually(async () => (await find(orphan.runId))?.state === RunState.CANCELLED, {
      label: 'the end of the orphan',
    });
    assert.equal(over, false);
    assert.equal(outcomeOf(await rest(attach(runId))).state, RunState.SUCCEEDED);
    await drained;
  });
});
