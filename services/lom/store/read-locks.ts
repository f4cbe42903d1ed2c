import { sql } from 'kysely';
import { RunState } from '../../shared/gen/rune/v1/run.js';
import type { StoreDatabase } from './store-database.js';
import { IS_OVER, limitedAction } from './lock-rules.js';
import type { ActionUse, LockHolder, LockWait, NodeLock, Store } from './store.js';

type HolderRow = LockHolder & { readonly key: string };

/** Those of the locks that somebody has. One whose run cannot be found is not free: nobody says that the run has ended. */
async function holdersOf(
  { db, nowMs }: StoreDatabase,
  keys: readonly string[],
): Promise<ReadonlyMap<string, LockHolder>> {
  if (keys.length === 0) return new Map();
  const { rows } = await sql<HolderRow>`
    select l.lock_key as key, l.execution_id as "executionId", coalesce(r.run_id, l.run_id) as "runId", coalesce(r.node, '') as node,
      coalesce(e.action, '') as action, l.since_ms as "sinceMs", l.until_ms as "untilMs"
    from node_locks l
    left join executions e on e.id = l.execution_id
    left join runs r on r.execution_id = l.execution_id and r.position = l.position
    where l.lock_key in (${sql.join(keys)})
      and (l.until_ms > ${nowMs} or (l.until_ms = 0 and coalesce(r.state, 0) < ${sql.lit(RunState.SUCCEEDED)}))`.execute(
    db,
  );
  return new Map(rows.map(({ key, ...holder }) => [key, holder]));
}

/** Store.nodeLock. */
export async function readNodeLock(database: StoreDatabase, key: string): Promise<NodeLock> {
  const { db, nowMs } = database;
  const { waiting } = await db
    .selectFrom('node_waiters')
    .select((eb) => eb.fn.countAll<number>().as('waiting'))
    .where('lock_key', '=', key)
    .where('until_ms', '>', nowMs)
    .executeTakeFirstOrThrow();
  return { holder: (await holdersOf(database, [key])).get(key), waiting };
}

/** Store.actionUse. */
export async function readActionUse({ db, nowSql }: StoreDatabase, action: string): Promise<ActionUse> {
  const { rows } = await sql<{ readonly running: number }>`
    select count(*) as running from action_places p
    where p.action = ${action} and not ${sql.raw(IS_OVER(nowSql))}`.execute(db);
  return { action, running: rows[0]?.running ?? 0 };
}

/** Store.coolsDownUntilMs. */
export async function readCooldown(
  { db, nowMs }: StoreDatabase,
  key: string,
  action: string,
): Promise<number | undefined> {
  const row = await db
    .selectFrom('node_cooldowns')
    .select('until_ms as untilMs')
    .where('lock_key', '=', key)
    .where('action', '=', action)
    .where('until_ms', '>', nowMs)
    .executeTakeFirst();
  return row?.untilMs;
}

/** Store.lockWaits. */
export async function readLockWaits(
  database: StoreDatabase,
  executionId: string,
  { after, limit }: Parameters<Store['lockWaits']>[1],
): Promise<ReadonlyMap<number, LockWait>> {
  const { db, nowMs } = database;
  const { rows } = await sql<Omit<LockWait, 'holder' | 'limit'> & { readonly position: number }>`
    select w.position, w.lock_key as key, w.asked_ms as "askedMs", w.until_ms as "untilMs", w.until_ms - ${nowMs} as "leftMs",
      1 + (select count(*) from node_waiters o
        where o.lock_key = w.lock_key and o.until_ms > ${nowMs} and (o.asked_ms, o.run_id) < (w.asked_ms, w.run_id)) as place
    from node_waiters w
    where w.execution_id = ${executionId} and w.position > ${after}
    order by w.position limit ${limit}`.execute(db);
  const holders = await holdersOf(database, [...new Set(rows.map(({ key }) => key))]);
  const actions = new Set(rows.flatMap(({ key }) => limitedAction(key) ?? []));
  const uses = new Map<string, ActionUse>();
  for (const action of actions) uses.set(action, await readActionUse(database, action));
  return new Map(
    rows.map(({ position, ...wait }) => {
      const limit = uses.get(limitedAction(wait.key) ?? '');
      return [position, { ...wait, holder: holders.get(wait.key), limit }];
    }),
  );
}
