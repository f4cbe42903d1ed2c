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

/** Store.unfinished. */
export async function unfinished(db: Kysely<StoreTables>, owner: string): Promise<readonly string[]> {
  const rows = await unfinishedIds(db).where('owner', '=', owner).orderBy('id').execute();
  return rows.map(({ id }) => id);
}

// Written out, not bound: so the index of unfinished executions fits.
const unfinishedIds = (db: Kysely<StoreTables>) =>
  db.selectFrom('executions').select('id').where('ended_ms', '=', sql.lit(0));

/** Store.awayMs. */
export async function readAway(
  { db, nowMs }: StoreDatabase,
  executionId: string,
): Promise<ReadonlyMap<number, number>> {
  const rows = await db
    .selectFrom('runs')
    .select((eb) => ['position', eb(nowMs, '-', eb.ref('away_since_ms')).as('awayMs')])
    .where('execution_id', '=', executionId)
    .where('away_since_ms', '>', 0)
    .execute();
  return new Map(rows.map(({ position, awayMs }) => [position, Math.max(0, awayMs)]));
}

interface TakeOver {
  readonly limit: number;
  readonly dropped: readonly string[];
  readonly leases: boolean;
}

/** Store.takeOver; where `leases` are kept, only an owner whose lease is over is gone. */
export function takeOver(
  database: StoreDatabase,
  owner: string,
  { limit, dropped, leases }: TakeOver,
): Promise<ExecutionRecord[]> {
  return database.db.transaction().execute(async (db) => {
    let query = unfinishedIds(db).where('owner', '<>', owner);
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
    let own = unfinishedIds(db).where('owner', '=', owner).where('id', 'in', dropped);
    if (database.skipLocked) {
      query = query.forUpdate().skipLocked();
      own = own.forUpdate().skipLocked();
    }
    const rows = await query.orderBy('id').limit(limit).execute();
    if (dropped.length > 0) rows.push(...(await own.execute()));
    const ids = rows.map(({ id }) => id);
    if (ids.length === 0) return [];
    await db
      .updateTable('executions')
      .set((eb) => ({ owner, epoch: eb('epoch', '+', 1) }))
      .where('id', 'in', ids)
      .execute();
    await db
      .updateTable('runs')
      .set({ away_since_ms: database.nowMs })
      .where('execution_id', 'in', ids)
      .where('mediator', '<>', '')
      .where('ended_ms', '=', 0)
      .where('away_since_ms', '=', 0)
      .execute();
    return readExecutionsWithRequest(db, ids);
  });
}
