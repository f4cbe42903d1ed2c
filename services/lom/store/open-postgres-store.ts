import { Kysely, PostgresDialect, sql } from 'kysely';
import { Pool } from 'pg';
import type { PoolConfig } from 'pg';
import { RuneError } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';
import { createStore } from './create-store.js';
import { migrate } from './migrate.js';
import type { Migration } from './migrate.js';
import { postgresChanges } from './postgres-changes.js';
import { postgresConfig } from './postgres-config.js';
import { postgresDatabase } from './postgres-database.js';
import { isMisconfigured } from './postgres-fault.js';
import { postgresLeases } from './postgres-leases.js';
import { postgresPool } from './postgres-pool.js';
import { DatabaseUnavailable } from './store-fault.js';
import type { StoreSettings } from './store-settings.js';
import type { StoreTables } from './store-tables.js';
import type { Store } from './store.js';

/** Any number that no other program of the same database takes for its own locks. */
const MIGRATION_LOCK = 7_853_021_001;

/** Opens the store in a PostgreSQL database, which many processes may share. See openStore. */
export async function openPostgresStore(
  { url, shown }: { readonly url: string; readonly shown: string },
  settings: StoreSettings,
  logger: Logger,
): Promise<Store> {
  const config = postgresConfig(url, shown, settings);
  const db = openPostgres(config, logger);
  try {
    await requireUtf8(db, shown);
    const serverKey = await migrate(postgresMigration(db, shown));
    const database = postgresDatabase(db);
    const notify = async (channel: string, payloads: readonly string[]): Promise<void> => {
      await sql`select pg_notify(${channel}, payload) from unnest(${payloads}::text[]) as payload`.execute(
        db,
      );
    };
    return createStore({
      database,
      leases: postgresLeases(database),
      changes: postgresChanges({ notify, config, logger }),
      serverKey,
      close: () => db.destroy(),
    });
  } catch (thrown) {
    await db.destroy();
    if (!(thrown instanceof DatabaseUnavailable) || !isMisconfigured(thrown.cause)) throw thrown;
    throw new RuneError(
      'CONFIGURATION_INVALID',
      `The store ${shown} cannot be used: ${thrown.message}.`,
      { field: 'store' },
      { cause: thrown.cause },
    );
  }
}

/** In another encoding some texts could not be recorded, and only then would anybody know. */
async function requireUtf8(db: Kysely<StoreTables>, shown: string): Promise<void> {
  const { rows } = await sql<{
    encoding: string;
  }>`select current_setting('server_encoding') as encoding`.execute(db);
  const encoding = rows[0]?.encoding;
  if (encoding === 'UTF8') return;
  throw new RuneError(
    'CONFIGURATION_INVALID',
    `The database ${shown} has the encoding ${encoding}: make one with the encoding UTF8.`,
    { field: 'store' },
  );
}

/** Kysely over a pool of connections, of which none is made yet. */
export function openPostgres(config: PoolConfig, logger: Logger): Kysely<StoreTables> {
  const pool = new Pool(config);
  pool.on('error', (error) => logger.debug('an idle connection to the store ended', { err: error }));
  return new Kysely<StoreTables>({ dialect: new PostgresDialect({ pool: postgresPool(pool) }) });
}

/** How the schema is kept over PostgreSQL. */
export function postgresMigration(db: Kysely<StoreTables>, shown: string): Migration {
  return {
    db,
    shown,
    // Ids sort by their bytes, as in SQLite, whatever the language of the database.
    types: {
      text: 'text collate "C"',
      integer: 'bigint',
      bytes: 'bytea',
      options: '',
      // Room for the next version of a row beside it: then its indexes need not change.
      optionsOfChanging: 'with (fillfactor = 70)',
    },
    async lock(transaction) {
      await sql`select pg_advisory_xact_lock(${MIGRATION_LOCK}::bigint)`.execute(transaction);
    },
    async hasMeta(on) {
      // By a query of the catalogue: to_regclass may answer from before the wait for the lock.
      const query = sql<{ found: boolean }>`
        select exists (
          select 1 from pg_catalog.pg_tables where tablename = 'meta' and schemaname = any (current_schemas(false))
        ) as found`;
      const { rows } = await query.execute(on);
      return rows[0]?.found === true;
    },
  };
}
