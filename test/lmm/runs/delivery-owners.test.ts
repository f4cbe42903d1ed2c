import assert from 'node:assert/strict';
import { AckRunRequest, ListRunsRequest } from '../../../services/shared/gen/rune/v1/lmm.js';
import { RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { newId } from '../../../services/shared/messages/ids.js';
import { eventually } from '../../support/eventually.js';
import { deliveryScene, INSTANCE, take, rest, outcomeOf, orphanAfter } from './delivery-scene.js';

describe('the delivery of runs', () => {
  const scene = deliveryScene();
  const { actors, open, actor, start, attach, cancel, acknowledge, listed, find, refused, begin, endUnread } =
    scene;

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
        scene.server.client.listRuns(ListRunsRequest.fromPartial(fields));

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
      await refused('FIELD_MISSING', scene.server.client.ackRun(AckRunRequest.fromPartial({})));
    });
  });

  it('is waited for by a mediator that shuts down, for what is left of its grace', async () => {
    await open();
    const runId = await endUnread();
    const orphan = await begin(orphanAfter(30));
    await orphan.stream.return();
    let over = false;
    const drained = scene.mediator.drain(60_000).then(() => (over = true));
    await refused('SERVICE_SHUTTING_DOWN', rest(start()));
    await eventually(async () => (await find(orphan.runId))?.state === RunState.CANCELLED, {
      label: 'the end of the orphan',
    });
    assert.equal(over, false);
    assert.equal(outcomeOf(await rest(attach(runId))).state, RunState.SUCCEEDED);
    await drained;
  });
});
