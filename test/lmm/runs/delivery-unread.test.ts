import assert from 'node:assert/strict';
import { RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { newId } from '../../../services/shared/messages/ids.js';
import { eventually } from '../../support/eventually.js';
import { deliveryScene, rest, texts, outcomeOf } from './delivery-scene.js';

const MIB = 1024 ** 2;

describe('the delivery of runs', () => {
  const { open, actor, start, attach, cancel, acknowledge, listed, find, refused, begin, leave, endUnread } =
    deliveryScene();

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
});
