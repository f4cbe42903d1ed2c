import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AckRunRequest } from '../../../services/shared/gen/rune/v1/lmm.js';
import { RunState, StopReason } from '../../../services/shared/gen/rune/v1/run.js';
import { RuneError } from '../../../services/shared/errors.js';
import { newId } from '../../../services/shared/messages/ids.js';
import { packageRoot } from '../../../services/shared/process/package-root.js';
import { eventually } from '../../support/eventually.js';
import { mediatorWith, pluginOf } from '../../support/scripted-mediator.js';
import type { NodeScript } from '../../support/scripted-transport.js';
import {
  deliveryScene,
  INSTANCE,
  take,
  rest,
  numbers,
  texts,
  outcomeOf,
  orphanAfter,
  type Stream,
} from './delivery-scene.js';

const MIB = 1024 ** 2;

describe('the delivery of runs', () => {
  const scene = deliveryScene();
  const { open, serve, actor, start, attach, find, refused, begin, leave } = scene;

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
      await serve(mediatorWith(why, { instanceId: INSTANCE }));
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
        return scene.server.client.mediate(
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
        const part = attach(runId, { afterEvent: record.at(-1)?.eventNo ?? 0 }, scene.server.connect());
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
      const frozen = fork(program, [scene.server.address, runId, INSTANCE]);
      try {
        await once(frozen, 'message');
        frozen.kill('SIGSTOP');
        const line = 'x'.repeat(1000);
        const printing = (async () => {
          for (let n = 0; n < 900; n++) await actor(runId).log(line);
          actor(runId).succeed();
        })();
        const owner = scene.server.connect();
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
});
