import assert from 'node:assert/strict';
import type {
  ExecutionChange,
  LockRequest,
  Store,
  StoredRunChange,
} from '../../../services/lom/store/store.js';
import { RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { newId } from '../../../services/shared/messages/ids.js';
import { create, event } from './new-execution.js';

const HOUR_MS = 3_600_000;

/** An execution with one run that competes for the lock of a node, for a place among the runs of an action, or for both. */
export interface Competitor {
  readonly id: string;
  readonly runId: string;
  /** Whether it has now what it wants. */
  ask(waitMs?: number): Promise<boolean>;
  end(state?: RunState, more?: Partial<StoredRunChange>): Promise<void>;
  /** Its place in the queue; undefined if it stands in none. */
  place(): Promise<number | undefined>;
  /** What it waits for, and at which place. */
  wait(): Promise<string | undefined>;
}

/** Records the execution. */
export async function createCompetitor(
  store: Store,
  wanted: Pick<LockRequest, 'key' | 'limit'>,
): Promise<Competitor> {
  const runId = newId();
  const id = await create(store, { action: 'fix', runs: [{ runId, node: 'web01' }] });
  let seq = 1;
  const change = (run: Partial<StoredRunChange>): ExecutionChange => ({
    executionId: id,
    epoch: 1,
    events: [],
    runs: [{ position: 0, ...run }],
  });
  const waiting = async () => (await store.lockWaits(id, { after: -1, limit: 1 })).get(0);
  return {
    id,
    runId,
    async ask(waitMs = HOUR_MS) {
      const lock = { ...wanted, runId, waitMs };
      const refused = await store.commit([change({ mediator: 'm:1', placedMs: 1, lock })]);
      const [run] = await store.runs(id, { after: -1, limit: 1 });
      assert.equal(run?.mediator, refused.has(runId) ? '' : 'm:1', 'what is recorded is not what it says');
      return !refused.has(runId);
    },
    async end(state = RunState.SUCCEEDED, more = {}) {
      seq += 1;
      const ended = change({ state, outcomeSeq: seq, leavesQueue: true, ...more });
      const refused = await store.commit([{ ...ended, events: [event(seq, 'web01', 'outcome')] }]);
      assert.equal(refused.size, 0);
    },
    place: async () => (await waiting())?.place,
    async wait() {
      const wait = await waiting();
      return wait && `${wait.key} ${wait.place}`;
    },
  };
}

/** One execution with so many runs that want the same; `ask` asks for all in one call and resolves with those that do not get it. */
export async function manyCompetitors(
  store: Store,
  count: number,
  wanted: Pick<LockRequest, 'key' | 'limit'>,
): Promise<{ readonly id: string; ask(): Promise<ReadonlySet<string>> }> {
  const runs = Array.from({ length: count }, (_, index) => ({ runId: newId(), node: `n${index}` }));
  const id = await create(store, { runs });
  return {
    id,
    ask: () =>
      store.commit([
        {
          executionId: id,
          epoch: 1,
          events: [],
          runs: runs.map(({ runId }, position) => ({
            position,
            mediator: 'm:1',
            lock: { ...wanted, runId, waitMs: HOUR_MS },
          })),
        },
      ]),
  };
}
