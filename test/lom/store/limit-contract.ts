import assert from 'node:assert/strict';
import { limitKeyOf } from '../../../services/lom/store/lock-rules.js';
import type { Store } from '../../../services/lom/store/store.js';
import { ExecutionState, RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { eventually } from '../../support/eventually.js';
import { createCompetitor, manyCompetitors, type Competitor } from './competitor.js';

const HOUR_MS = 3_600_000;

/** What every store does with the places among the runs of an action. */
export function limitContract(opened: () => Store, open: () => Promise<Store>): void {
  let count = 0;
  const newLimit = (max: number) => ({ action: `limited-${(count += 1)}`, max });
  const running = async (action: string): Promise<number> => (await opened().actionUse(action)).running;

  describe('places among the runs of an action', () => {
    it('are as many as its limit, until the changes that end the runs, and go to who came first', async () => {
      const limit = newLimit(2);
      const all = [];
      for (let index = 0; index < 5; index += 1) all.push(await createCompetitor(opened(), { limit }));
      const asked = [];
      for (const each of all) asked.push(await each.ask());
      assert.deepEqual(asked, [true, true, false, false, false]);
      assert.equal(await running(limit.action), 2);
      const [one, two, three, four, five] = all as [Competitor, ...typeof all];
      const key = limitKeyOf(limit.action);
      assert.deepEqual([await three?.wait(), await five?.wait()], [`${key} 1`, `${key} 3`]);
      const wait = (await opened().lockWaits(three?.id ?? '', { after: -1, limit: 1 })).get(0);
      assert.deepEqual(wait?.limit, { action: limit.action, running: 2 });
      assert.equal(wait.holder, undefined);

      assert.equal(await one.ask(), true, 'who has a place keeps it');
      await one.end();
      await two?.end(RunState.FAILED);
      assert.equal(await running(limit.action), 0);
      assert.equal(await four?.ask(), false, 'it overtook the third');
      const newcomer = await createCompetitor(opened(), { limit });
      assert.equal(await newcomer.ask(0), false, 'a newcomer overtook everybody');
      assert.equal(await newcomer.wait(), undefined);
      assert.deepEqual([await three?.ask(), await four?.ask(), await five?.ask()], [true, true, false]);
      assert.equal(await (await createCompetitor(opened(), { limit: newLimit(1) })).ask(), true);
    });

    it('are counted in one call too', async () => {
      const limit = newLimit(3);
      const { ask } = await manyCompetitors(opened(), 50, { limit });
      assert.equal((await ask()).size, 47);
      assert.equal(await running(limit.action), 3);
      assert.equal((await ask()).size, 47);
    });

    it('are not taken without the lock of the node, nor that without one of them', async () => {
      const limit = newLimit(1);
      const [busy, free] = [`${limit.action}:1`, `${limit.action}:2`];
      const holder = await createCompetitor(opened(), { key: busy });
      assert.equal(await holder.ask(), true);
      const both = await createCompetitor(opened(), { key: busy, limit });
      assert.equal(await both.ask(), false);
      assert.equal(await both.wait(), `${busy} 1`);
      assert.equal(await running(limit.action), 0);

      const other = await createCompetitor(opened(), { key: free, limit });
      assert.equal(await other.ask(), true);
      await holder.end();
      assert.equal(await both.ask(), false);
      // Its time in the queue goes on.
      assert.equal(await both.wait(), `${limitKeyOf(limit.action)} 1`);
      assert.equal((await opened().nodeLock(busy)).holder, undefined);
      await other.end();
      assert.equal(await both.ask(), true);
      assert.equal((await opened().nodeLock(busy)).holder?.executionId, both.id);
      assert.equal(await both.wait(), undefined);
    });

    it('stay with a lost run for as long as it may be alive', async () => {
      const limit = newLimit(1);
      const [lost, other] = [
        await createCompetitor(opened(), { limit }),
        await createCompetitor(opened(), { limit }),
      ];
      assert.equal(await lost.ask(), true);
      await lost.end(RunState.LOST, { keepsLockMs: 300 });
      assert.equal(await other.ask(), false);
      await eventually(async () => (await running(limit.action)) === 0, { label: 'its end' });
      assert.equal(await other.ask(), true);
    });

    it('go with executions that are deleted, but for what a lost run may still have', async () => {
      const fresh = await open();
      try {
        const limit = newLimit(2);
        for (const more of [{}, { keepsLockMs: HOUR_MS }]) {
          const one = await createCompetitor(fresh, { limit });
          assert.equal(await one.ask(), true);
          await one.end(RunState.LOST, more);
          const change = { executionId: one.id, epoch: 1, events: [], runs: [] };
          await fresh.commit([{ ...change, state: ExecutionState.FAILED, ended: true }]);
        }
        assert.equal((await fresh.actionUse(limit.action)).running, 1);
        assert.equal(await fresh.deleteOld(0, 10, 10), 2);
        assert.equal((await fresh.actionUse(limit.action)).running, 1);
      } finally {
        await fresh.close();
      }
    });
  });
}
