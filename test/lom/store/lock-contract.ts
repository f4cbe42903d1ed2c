import assert from 'node:assert/strict';
import type { Store } from '../../../services/lom/store/store.js';
import { ExecutionState, RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { eventually } from '../../support/eventually.js';
import { createCompetitor, manyCompetitors, type Competitor } from './competitor.js';
import { event } from './new-execution.js';

const HOUR_MS = 3_600_000;

/** What every store does with the locks of nodes. */
export function lockContract(opened: () => Store, open: () => Promise<Store>): void {
  describe('locks', () => {
    const competitor = (key: string): Promise<Competitor> => createCompetitor(opened(), { key });
    let count = 0;
    const newKey = (): string => `key:${(count += 1)}`;

    it('are had by one run at a time, until the change that ends it', async () => {
      const key = newKey();
      const [one, other] = [await competitor(key), await competitor(key)];
      assert.equal(await one.ask(), true);
      assert.equal(await other.ask(), false);
      const { holder, waiting } = await opened().nodeLock(key);
      assert.equal(waiting, 1);
      assert.deepEqual(
        { ...holder, sinceMs: 0 },
        { executionId: one.id, runId: one.runId, node: 'web01', action: 'fix', sinceMs: 0, untilMs: 0 },
      );
      await one.end();
      assert.equal((await opened().nodeLock(key)).holder, undefined);
      assert.equal(await other.ask(), true);
      assert.deepEqual((await opened().nodeLock(key)).waiting, 0);
      assert.equal(await (await competitor(newKey())).ask(), true);
    });

    it('stay with who asks again, also while others wait', async () => {
      const key = newKey();
      const [one, other] = [await competitor(key), await competitor(key)];
      assert.equal(await one.ask(), true);
      const { holder } = await opened().nodeLock(key);
      assert.equal(await other.ask(), false);
      assert.equal(await one.ask(), true);
      assert.deepEqual((await opened().nodeLock(key)).holder, holder);
    });

    it('are given to those who wait in the order in which they came', async () => {
      const key = newKey();
      const all = await Promise.all(Array.from({ length: 5 }, () => competitor(key)));
      for (const [index, each] of all.entries()) assert.equal(await each.ask(), index === 0);
      const places = (): Promise<unknown[]> => Promise.all(all.map((each) => each.place()));
      assert.deepEqual(await places(), [undefined, 1, 2, 3, 4]);
      const [first, second, third, fourth, last] = all;
      await first?.end();
      assert.equal(await third?.ask(), false, 'it overtook the second');
      assert.equal(await (await competitor(key)).ask(), false, 'a newcomer overtook everybody');
      await third?.end(RunState.CANCELLED);
      assert.equal(await second?.ask(), true);
      await second?.end();
      assert.equal(await last?.ask(), false);
      assert.deepEqual((await places()).slice(3), [1, 2]);
      assert.equal(await fourth?.ask(), true);
    });

    it('are not waited for by a run that does not want to wait, nor for longer than it wants to', async () => {
      const key = newKey();
      const [one, hasty, patient, last] = [
        await competitor(key),
        await competitor(key),
        await competitor(key),
        await competitor(key),
      ];
      assert.equal(await one.ask(), true);
      assert.equal(await hasty.ask(0), false);
      assert.equal(await hasty.place(), undefined);
      assert.equal(await patient.ask(1), false);
      assert.equal(await last.ask(), false);
      const over = async (): Promise<boolean> =>
        ((await opened().lockWaits(patient.id, { after: -1, limit: 1 })).get(0)?.leftMs ?? 1) <= 0;
      await eventually(over, { label: 'the end of its time' });
      assert.equal(await last.place(), 1);
      await one.end();
      assert.equal(await last.ask(), true);
    });

    it('stay with a lost run for as long as it may be alive', async () => {
      const key = newKey();
      const [lost, other] = [await competitor(key), await competitor(key)];
      assert.equal(await lost.ask(), true);
      await lost.end(RunState.LOST, { keepsLockMs: 300 });
      assert.equal(await other.ask(), false);
      const { holder } = await opened().nodeLock(key);
      assert.equal(holder?.runId, lost.runId);
      assert.ok(holder.untilMs > holder.sinceMs);
      await eventually(async () => (await opened().nodeLock(key)).holder === undefined, { label: 'its end' });
      assert.equal(await other.ask(), true);
    });

    it('and what ends a run in the same call as somebody asks do not disturb one another', async () => {
      for (const [state, more] of [
        [RunState.SUCCEEDED, {}],
        [RunState.LOST, { keepsLockMs: 1 }],
      ] as const) {
        const key = newKey();
        const [one, other] = [await competitor(key), await competitor(key)];
        assert.equal(await one.ask(), true);
        const refused = await opened().commit([
          {
            executionId: one.id,
            epoch: 1,
            events: [event(2, 'web01', 'outcome')],
            runs: [{ position: 0, state, outcomeSeq: 2, ...more }],
          },
          {
            executionId: other.id,
            epoch: 1,
            events: [],
            runs: [{ position: 0, mediator: 'm:1', lock: { key, runId: other.runId, waitMs: HOUR_MS } }],
          },
        ]);
        assert.ok(!refused.has(one.id) && !refused.has(other.id));
        assert.ok(await eventually(() => other.ask(), { label: 'the lock' }));
      }
    });

    it('go to one of many runs that ask in one call, and the others stand in the queue', async () => {
      const key = newKey();
      const { id, ask } = await manyCompetitors(opened(), 200, { key });
      assert.equal((await ask()).size, 199);
      assert.equal((await opened().nodeLock(key)).waiting, 199);
      const waits = await opened().lockWaits(id, { after: -1, limit: 1000 });
      assert.deepEqual(
        [...waits.values()].map(({ place }) => place).toSorted((one, other) => one - other),
        Array.from({ length: 199 }, (_, index) => index + 1),
      );
      assert.equal((await ask()).size, 199);
    });

    it('are not had by a run of an execution that has another owner by now', async () => {
      const key = newKey();
      const [one, other] = [await competitor(key), await competitor(key)];
      const lock = { key, runId: one.runId, waitMs: HOUR_MS };
      const change = { executionId: one.id, epoch: 0, events: [], runs: [{ position: 0, lock }] };
      assert.deepEqual(await opened().commit([change]), new Set([one.id]));
      assert.deepEqual(await opened().nodeLock(key), { holder: undefined, waiting: 0 });
      assert.equal(await other.ask(), true);
    });

    it('tell for how long an action is not to start where they are had', async () => {
      const key = newKey();
      const one = await competitor(key);
      await one.ask();
      assert.equal(await opened().coolsDownUntilMs(key, 'fix'), undefined);
      await one.end(RunState.FAILED, { coolsDown: { key, action: 'fix', forMs: HOUR_MS } });
      const until = await opened().coolsDownUntilMs(key, 'fix');
      assert.ok(until !== undefined && until > (await opened().execution(one.id))!.createdMs + HOUR_MS / 2);
      assert.equal(await opened().coolsDownUntilMs(key, 'other'), undefined);
      assert.equal(await opened().coolsDownUntilMs(newKey(), 'fix'), undefined);
      const other = await competitor(key);
      assert.equal(await other.ask(), true);
      await other.end(RunState.SUCCEEDED, { coolsDown: { key, action: 'fix', forMs: 1 } });
      await eventually(async () => (await opened().coolsDownUntilMs(key, 'fix')) === undefined, {
        label: 'the end of the cooldown',
      });
    });

    it('tell who listens that they are free', async () => {
      const key = newKey();
      const heard: string[] = [];
      opened().onRelease((released) => void heard.push(released));
      const one = await competitor(key);
      await one.ask();
      await one.end(RunState.SUCCEEDED, { releases: [key] });
      await eventually(() => heard.includes(key), { label: 'the word' });
    });

    it('go with executions that are deleted, but for what a lost run may still have', async () => {
      const fresh = await open();
      try {
        const ended = async (state: RunState, more: object): Promise<string> => {
          const key = newKey();
          const one = await createCompetitor(fresh, { key });
          assert.equal(await one.ask(), true);
          await one.end(state, more);
          const change = { executionId: one.id, epoch: 1, events: [], runs: [] };
          await fresh.commit([{ ...change, state: ExecutionState.FAILED, ended: true }]);
          return key;
        };
        const free = await ended(RunState.SUCCEEDED, {});
        const kept = await ended(RunState.LOST, { keepsLockMs: HOUR_MS });
        assert.equal(await fresh.deleteOld(0, 10, 10), 2);
        assert.equal((await fresh.nodeLock(free)).holder, undefined);
        assert.notEqual((await fresh.nodeLock(kept)).holder, undefined);
        assert.equal(await (await createCompetitor(fresh, { key: free })).ask(0), true);
      } finally {
        await fresh.close();
      }
    });
  });
}
