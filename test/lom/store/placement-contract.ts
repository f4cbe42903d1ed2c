import assert from 'node:assert/strict';
import type { Created, FirstPlacement, LockRequest, Store } from '../../../services/lom/store/store.js';
import { RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { newId } from '../../../services/shared/messages/ids.js';
import { createCompetitor } from './competitor.js';
import { newExecution } from './new-execution.js';

const HOUR_MS = 3_600_000;
const PLACEMENT: FirstPlacement = { mediator: 'm:1', lmmInstanceId: 'NUL \0, {a,b}, "', placedMs: 17 };
const UNSENT = { attempt: 0, mediator: '', lmmInstanceId: '', placedMs: 0 };
const SENT = { attempt: 1, ...PLACEMENT };

/** What every store does with runs that are about to be sent when their execution is created. */
export function placementContract(opened: () => Store): void {
  describe('runs that are about to be sent when their execution is created', () => {
    let count = 0;
    const newKey = (): string => `placed:${(count += 1)}`;

    /** Creates an execution with a run for each of these; undefined is one that goes nowhere yet. */
    const createPlaced = (
      wanted: readonly (Pick<LockRequest, 'key' | 'limit'> | undefined)[],
      given: Parameters<typeof newExecution>[0] = {},
    ): Promise<Created> => {
      const runs = wanted.map((needs, position) => {
        const runId = newId();
        const lock =
          needs && Object.keys(needs).length > 0 ? { ...needs, runId, waitMs: HOUR_MS } : undefined;
        return { runId, node: `web${position}`, placement: needs && { ...PLACEMENT, lock } };
      });
      return opened().createExecution(newExecution({ action: 'fix', runs, ...given }), HOUR_MS);
    };

    const recorded = async ({ execution }: Created): Promise<object[]> => {
      const runs = await opened().runs(execution.id, { after: -1, limit: 10 });
      return runs.map(({ attempt, mediator, lmmInstanceId, placedMs, state, mediatorEvent, startedMs }) => {
        assert.deepEqual([state, mediatorEvent, startedMs], [RunState.QUEUED, 0, 0]);
        return { attempt, mediator, lmmInstanceId, placedMs };
      });
    };

    const waiting = async ({ execution }: Created): Promise<number> =>
      (await opened().lockWaits(execution.id, { after: -1, limit: 10 })).size;

    it('are recorded with it', async () => {
      const created = await createPlaced([undefined, {}, {}]);
      assert.deepEqual([...created.placed], [1, 2]);
      assert.deepEqual(await recorded(created), [UNSENT, SENT, SENT]);
    });

    it('are recorded with the lock of their node where it is free, and else as if nobody had asked', async () => {
      const [free, taken] = [newKey(), newKey()];
      const holder = await createCompetitor(opened(), { key: taken });
      assert.equal(await holder.ask(), true);
      const created = await createPlaced([{ key: taken }, { key: free }, { key: free }]);
      assert.equal(created.placed.size, 1);
      assert.ok(!created.placed.has(0));
      assert.deepEqual(
        await recorded(created),
        [0, 1, 2].map((position) => (created.placed.has(position) ? SENT : UNSENT)),
      );
      assert.equal((await opened().nodeLock(free)).holder?.executionId, created.execution.id);
      assert.equal((await opened().nodeLock(taken)).holder?.executionId, holder.id);
      assert.equal(await waiting(created), 0);
      assert.equal(await (await createCompetitor(opened(), { key: free })).ask(), false);
    });

    it('do not overtake who waits', async () => {
      const key = newKey();
      const [one, other] = [
        await createCompetitor(opened(), { key }),
        await createCompetitor(opened(), { key }),
      ];
      assert.deepEqual([await one.ask(), await other.ask()], [true, false]);
      await one.end();
      assert.equal((await createPlaced([{ key }])).placed.size, 0);
      assert.equal(await other.ask(), true);
    });

    it('are as many as the limit of their action', async () => {
      const limit = { action: newKey(), max: 2 };
      const created = await createPlaced([{ limit }, { limit }, { limit }]);
      assert.equal(created.placed.size, 2);
      assert.equal((await opened().actionUse(limit.action)).running, 2);
      assert.equal(await waiting(created), 0);
      assert.equal((await createPlaced([{ limit, key: newKey() }])).placed.size, 0);
    });

    it('take nothing when the execution was there before', async () => {
      const [requestId, key] = [newId(), newKey()];
      const first = await createPlaced([{}], { requestId });
      const second = await createPlaced([{ key }], { requestId });
      assert.deepEqual(second, { execution: first.execution, existing: true, placed: new Set() });
      assert.equal((await opened().nodeLock(key)).holder, undefined);
      assert.deepEqual(await recorded(second), [SENT]);
    });

    it('of many executions at once get the lock of their node one after the other', async () => {
      const key = newKey();
      const all = await Promise.all(Array.from({ length: 20 }, () => createPlaced([{ key }])));
      assert.equal(all.filter(({ placed }) => placed.size > 0).length, 1);
    });
  });
}
