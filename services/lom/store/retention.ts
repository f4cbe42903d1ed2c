import { setImmediate as nextTurn } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { StoreDatabase } from './store-database.js';
import type { StoreTables } from './store-tables.js';

/** Rows that one transaction deletes. */
const ROWS_MAX = 2_000;

/**
 * Store.deleteOld. An execution disappears at once, its runs and events after it in small transactions; what a crash leaves of
 * them is found by the next call.
 */
export async function deleteOld(
  { db, nowMs }: Pick<StoreDatabase, 'db' | 'nowMs'>,
  keepMs: number,
  keepMax: number,
  limit: number,
): Promise<number> {
  await deleteLeftovers(db);
  await db.deleteFrom('node_cooldowns').where('until_ms', '<=', nowMs).execute();
  const ids = await chooseOld({ db, nowMs }, keepMs, keepMax, limit);
  if (ids.length === 0) return 0;
  const deleted = await db.transaction().execute((transaction) => deleteExecutions(transaction, nowMs, ids));
  await deleteLeftovers(db);
  return deleted;
}

async function chooseOld(
  { db, nowMs }: Pick<StoreDatabase, 'db' | 'nowMs'>,
  keepMs: number,
  keepMax: number,
  limit: number,
): Promise<string[]> {
  // Written out, not bound: so the index of ended executions fits.
  const ended = db.selectFrom('executions').where('ended_ms', '>', sql.lit(0));
  const { count } = await ended
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  const oldest = await ended
    .select((eb) => ['id' as const, eb(nowMs, '-', eb.ref('ended_ms')).as('agoMs')])
    .orderBy('ended_ms')
    .orderBy('id')
    .limit(limit)
    .execute();
  return oldest.filter(({ agoMs }, index) => index < count - keepMax || agoMs >= keepMs).map(({ id }) => id);
}

/** Another replica may be at the same: what counts is what this transaction has deleted. */
async function deleteExecutions(
  db: Kysely<StoreTables>,
  nowMs: StoreDatabase['nowMs'],
  ids: readonly string[],
): Promise<number> {
  const gone = await db
    .deleteFrom('executions')
    .where('id', 'in', ids)
    .returning(['id as execution_id', 'last_seq', 'runs'])
    .execute();
  if (gone.length === 0) return 0;
  await db.insertInto('leftovers').values(gone).execute();
  // A lost run may keep what it has for longer than its execution is kept.
  const deleted = gone.map(({ execution_id: id }) => id);
  for (const table of ['node_locks', 'action_places'] as const)
    await db.deleteFrom(table).where('execution_id', 'in', deleted).where('until_ms', '<=', nowMs).execute();
  return gone.length;
}

async function deleteLeftovers(db: Kysely<StoreTables>): Promise<void> {
  const rows = await db.selectFrom('leftovers').select(['execution_id', 'last_seq', 'runs']).execute();
  for (const { execution_id: id, last_seq: lastSeq, runs } of rows) {
    for (let below = ROWS_MAX; below < lastSeq + ROWS_MAX; below += ROWS_MAX) {
      await db.deleteFrom('events').where('execution_id', '=', id).where('seq', '<=', below).execute();
      await nextTurn();
    }
    for (let below = ROWS_MAX; below < runs + ROWS_MAX; below += ROWS_MAX) {
      await db.deleteFrom('runs').where('execution_id', '=', id).where('position', '<', below).execute();
      await nextTurn();
    }
    await db.deleteFrom('requests').where('execution_id', '=', id).execute();
    await db.deleteFrom('leftovers').where('execution_id', '=', id).execute();
  }
}
