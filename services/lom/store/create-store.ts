import type { Changes } from './changes.js';
import { createExecution } from './create-execution.js';
import type { Leases } from './leases.js';
import { askCancel, cancelsAsked, readAway, takeOver, unfinished } from './owners.js';
import { createModuleStore } from './create-module-store.js';
import { listExecutions, readExecution } from './read-executions.js';
import { readActionUse, readCooldown, readLockWaits, readNodeLock } from './read-locks.js';
import { readEvents, sumOutcomeBytes } from './read-events.js';
import { countRuns, readRuns } from './read-runs.js';
import { deleteOld } from './retention.js';
import type { StoreDatabase } from './store-database.js';
import { callStore } from './store-fault.js';
import type { ExecutionChange, Store } from './store.js';

/** What a store is made of. */
export interface StoreParts {
  readonly database: StoreDatabase;
  readonly leases: Leases;
  readonly changes: Changes;
  readonly serverKey: Buffer;
  /** Gives everything back, after the last call. */
  close(): Promise<void>;
}

/** The store over its database; every call rejects with STORE_UNAVAILABLE while that cannot be used. */
export function createStore({ database, leases, changes, serverKey, close }: StoreParts): Store {
  const { db } = database;

  const commit = async (wanted: readonly ExecutionChange[]): Promise<ReadonlySet<string>> => {
    if (wanted.length === 0) return new Set();
    for (const change of wanted) refuseGaps(change);
    const { executions, lockedOut } = await database.writeChanges(wanted);
    changes.committed(executions);
    changes.released(wanted.flatMap(({ runs }) => runs.flatMap(({ releases }) => releases ?? [])));
    const doubtful = wanted.filter(({ executionId }) => !executions.has(executionId));
    const refused = await refusedOf(database, doubtful);
    return lockedOut.size === 0 ? refused : new Set([...refused, ...lockedOut]);
  };

  return {
    createExecution: (execution, windowMs) => callStore(() => createExecution(database, execution, windowMs)),
    execution: (id) => callStore(() => readExecution(db, id)),
    executions: (filter, limit, before) => callStore(() => listExecutions(db, filter, limit, before)),
    runs: (executionId, page) => callStore(() => readRuns(db, executionId, page)),
    awayMs: (executionId) => callStore(() => readAway(database, executionId)),
    runCounts: (executionIds) => callStore(() => countRuns(db, executionIds)),
    commit: (wanted) => callStore(() => commit(wanted)),
    coolsDownUntilMs: (key, action) => callStore(() => readCooldown(database, key, action)),
    actionUse: (action) => callStore(() => readActionUse(database, action)),
    nodeLock: (key) => callStore(() => readNodeLock(database, key)),
    lockWaits: (executionId, page) => callStore(() => readLockWaits(database, executionId, page)),
    events: (executionId, range) => callStore(() => readEvents(db, executionId, range)),
    outcomeBytes: (executionId) => callStore(() => sumOutcomeBytes(db, executionId)),
    async askCancel(executionId, reason) {
      const record = await callStore(() => askCancel(db, executionId, reason));
      if (record !== undefined) changes.asked(executionId);
      return record;
    },
    cancelsAsked: (owner) => callStore(() => cancelsAsked(db, owner)),
    renewLease: (owner, leaseMs) => callStore(() => leases.renew(owner, leaseMs)),
    unfinished: (owner) => callStore(() => unfinished(db, owner)),
    takeOver: (owner, limit, dropped = []) =>
      callStore(() => takeOver(database, owner, { limit, dropped, leases: leases.kept })),
    endLease: (owner) => callStore(() => leases.end(owner)),
    deleteOld: (keepMs, keepMax, limit) => callStore(() => deleteOld(database, keepMs, keepMax, limit)),
    onChange: changes.onChange,
    onRelease: changes.onRelease,
    modules: createModuleStore(database),
    serverKey,
    async close() {
      await changes.close();
      await close();
    },
  };
}

/** The events of a change must follow one another; that they follow what is recorded, the database checks. */
function refuseGaps({ executionId, events }: ExecutionChange): void {
  const first = events.at(0)?.seq ?? 0;
  if (events.every(({ seq }, index) => seq === first + index)) return;
  throw new Error(`The events of the execution ${executionId} do not follow one another.`);
}

/** Of changes that were not written: those of an older epoch or of an execution that is gone. The rest is recorded already. */
async function refusedOf(
  { db }: StoreDatabase,
  doubtful: readonly ExecutionChange[],
): Promise<ReadonlySet<string>> {
  if (doubtful.length === 0) return new Set();
  const ids = doubtful.map(({ executionId }) => executionId);
  const rows = await db.selectFrom('executions').select(['id', 'epoch']).where('id', 'in', ids).execute();
  const epochs = new Map(rows.map(({ id, epoch }) => [id, epoch]));
  return new Set(
    doubtful
      .filter(({ executionId, epoch }) => epochs.get(executionId) !== epoch)
      .map(({ executionId }) => executionId),
  );
}
