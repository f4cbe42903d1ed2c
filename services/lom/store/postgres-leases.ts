import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Leases } from './leases.js';
import type { StoreDatabase } from './store-database.js';
import type { StoreTables } from './store-tables.js';

/** A lease that ended so long ago is forgotten. */
const FORGOTTEN_AFTER_MS = 24 * 60 * 60 * 1_000;

/** Leases in the table replicas, by the clock of the database. */
export function postgresLeases({ db, nowMs }: StoreDatabase): Leases {
  return {
    kept: true,
    async renew(owner, leaseMs) {
      // The select still sees the row as it was before.
      const { rows } = await sql<{ held: boolean }>`
        with before as (select until_ms from replicas where owner = ${owner})
        insert into replicas (owner, until_ms) values (${owner}, ${nowMs} + ${leaseMs}::bigint)
        on conflict (owner) do update set until_ms = excluded.until_ms
        returning coalesce((select until_ms > ${nowMs} from before), true) as held`.execute(db);
      return rows[0]?.held === true;
    },
    end: (owner) => endLease(db, owner, nowMs),
  };
}

async function endLease(
  db: Kysely<StoreTables>,
  owner: string,
  nowMs: StoreDatabase['nowMs'],
): Promise<void> {
  await db
    .deleteFrom('replicas')
    .where((eb) =>
      eb.or([
        eb('owner', '=', owner),
        eb('until_ms', '<', sql<number>`${nowMs} - ${FORGOTTEN_AFTER_MS}::bigint`),
      ]),
    )
    .execute();
}
