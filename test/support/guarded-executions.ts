import { createLockTurns, type LockTurns } from '../../services/lom/execution/lock-turns.js';
import type { Plan } from '../../services/lom/plan/plan.js';
import type { Store } from '../../services/lom/store/store.js';
import { eventually } from './eventually.js';
import { guardedNodes, type GuardedNodes } from './guarded-nodes.js';
import { executeRecorded, type PerformFields, type RecordedExecution } from './recorded-execution.js';
import { scriptedMediators } from './scripted-mediators.js';
import { tempStore } from './temp-store.js';

/** So long that nobody in a test waits for its end. */
export const HOUR_MS = 3_600_000;

/** Executions whose runs wait for one another, on nodes where they stay until they are let go. */
export interface GuardedExecutions {
  readonly store: Store;
  /** The nodes of this test. */
  readonly nodes: GuardedNodes;
  /** Wakes the waiting runs at every release in the store. */
  readonly turns: LockTurns;
  execute(plan: Plan, fields?: PerformFields): Promise<RecordedExecution>;
  /** Waits until so many runs have begun in this test. */
  begun(runs: number): Promise<unknown>;
}

/** Makes a store for the tests of a `describe`, in which it is to be called, and new nodes for each. */
export function guardedExecutions(): GuardedExecutions {
  const turns = createLockTurns(HOUR_MS);
  const temp = tempStore();
  let nodes: GuardedNodes;
  before(() => {
    temp.store.onRelease(turns.wake);
  });
  beforeEach(() => {
    nodes = guardedNodes();
  });
  return {
    turns,
    get store() {
      return temp.store;
    },
    get nodes() {
      return nodes;
    },
    execute: (plan, fields = {}) =>
      executeRecorded(temp.store, plan, scriptedMediators({ start: nodes.start }), { turns, ...fields }),
    begun: (runs) => eventually(() => nodes.begun.length === runs, { label: `${runs} runs` }),
  };
}
