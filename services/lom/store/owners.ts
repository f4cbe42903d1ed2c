import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import { readExecution, readExecutionsWithRequest } from './read-executions.js';
import type { StoreDatabase } from './store-database.js';
import type { StoreTables } from './store-tables.js';
import type { ExecutionRecord } from './store.js';

/** Store.askCancel. */
export async function askCancel(
  db: Kysely<StoreTables>,
  id: string,
  reason: string,
): Promise<ExecutionRecord | undefined> {
  await db
    .updateTable('executions')
    .set({ cancel_asked: 1, cancel_reason: reason })
    .where('id', '=', id)
    .where('ended_ms', '=', 0)
    .where('cancel_asked', '=', 0)
    .execute();
  return readExecution(db, id);
}

/** Store.cancelsAsked. */
export function cancelsAsked(
  db: Kysely<StoreTables>,
  owner: string,
): Promise<readonly { readonly id: string; readonly reason: string }[]> {
  return (
    db
      .selectFrom('executions')
      .select(['id', 'cancel_reason as reason'])
      .where('owner', '=', owner)
      // Written out, not bound: so the index of unfinished executions fits.
      .where('ended_ms', '=', sql.lit(0))
      .where('cancel_asked', '=', 1)
      .orderBy('id')
      .execute()
  );
}

/** Store.takeOver: `isFree` narrows the executions of others to those whose owner is gone. */
export function takeOver(
  database: StoreDatabase,
  owner: string,
  limit: number,
  leases: boolean,
): Promise<ExecutionRecord[]> {
  return database.db.transaction().execute(async (db) => {
    let query = db
      .selectFrom('executions')
      .select('id')
      .where('owner', '<>', owner)
      .where('ended_ms', '=', sql.lit(0));
    if (leases) {
      query = query.where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom('replicas')
              .select('replicas.owner')
              .whereRef('replicas.owner', '=', 'executions.owner')
              .where('replicas.until_ms', '>', database.nowMs),
          ),
        ),
      );
    }
    if (database.skipLocked) query = query.forUpdate().skipLocked();
    const ids = (await query.orderBy('id').limit(limit).execute()).map(({ id }) => id);
    if (ids.length === 0) return [];
    await db
      .updateTable('executions')
      .set((eb) => ({ owner, epoch: eb('epoch', '+', 1) }))
      .where('id', 'in', ids)
      .execute();
    return readExecutionsWithRequest(db, ids);
  });
}
