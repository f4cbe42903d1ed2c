import { existsSync } from 'node:fs';
import { Kysely, sql } from 'kysely';
import { RuneError } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';
import { requireCurrentSchema } from './migrate.js';
import { openPostgres, postgresMigration } from './open-postgres-store.js';
import { sqliteMigration } from './open-sqlite-store.js';
import { postgresConfig } from './postgres-config.js';
import { sqliteDialect } from './sqlite-dialect.js';
import { sqliteStatements } from './sqlite-statements.js';
import { toSqliteFault } from './sqlite-fault.js';
import { openSqliteFileForReading } from './sqlite-file.js';
import { toOpenError } from './store-fault.js';
import { parseStoreLocation } from './store-location.js';
import type { StoreSettings } from './store-settings.js';
import type { StoreTables } from './store-tables.js';

/** Looking at everything takes longer than any statement of the service may. */
const STATEMENT_TIMEOUT_MS = 60 * 60 * 1_000;

/** A store as it was at one moment. */
export interface StoreSnapshot {
  readonly db: Kysely<StoreTables>;
  /** Names the store, without a password. */
  readonly shown: string;
  /** What the database itself finds wrong in its files; nothing where it has no such check. */
  damage(): Promise<readonly string[]>;
}

/**
 * Lets `look` read a store, also while a service writes to it: everything is as at one moment. Throws CONFIGURATION_INVALID where
 * there is no store of this release, and STORE_UNAVAILABLE.
 */
export async function readStore<T>(
  location: string,
  settings: StoreSettings,
  logger: Logger,
  look: (snapshot: StoreSnapshot) => Promise<T>,
): Promise<T> {
  const parsed = parseStoreLocation(location);
  const { shown } = parsed;
  try {
    if (parsed.kind === 'sqlite') return await readSqliteStore(parsed.path, look);
    const patient = { ...settings, storeStatementTimeoutMs: STATEMENT_TIMEOUT_MS };
    const db = openPostgres(postgresConfig(parsed.url, shown, patient), logger);
    try {
      await requireCurrentSchema(postgresMigration(db, shown));
      return await db
        .transaction()
        .setIsolationLevel('repeatable read')
        .setAccessMode('read only')
        .execute((transaction) => look({ db: transaction, shown, damage: () => Promise.resolve([]) }));
    } finally {
      await db.destroy();
    }
  } catch (thrown) {
    throw toOpenError(shown, thrown);
  }
}

async function readSqliteStore<T>(path: string, look: (snapshot: StoreSnapshot) => Promise<T>): Promise<T> {
  if (!existsSync(path)) {
    throw new RuneError('CONFIGURATION_INVALID', `There is no store ${path}.`, { field: 'store' });
  }
  const db = new Kysely<StoreTables>({
    dialect: sqliteDialect(sqliteStatements(openForReading(path)), 'begin'),
  });
  try {
    return await db.transaction().execute(async (transaction) => {
      await requireCurrentSchema(sqliteMigration(transaction, path));
      return look({ db: transaction, shown: path, damage: () => integrityCheck(transaction) });
    });
  } finally {
    await db.destroy();
  }
}

function openForReading(path: string): ReturnType<typeof openSqliteFileForReading> {
  try {
    return openSqliteFileForReading(path);
  } catch (thrown) {
    throw toSqliteFault(thrown);
  }
}

async function integrityCheck(db: Kysely<StoreTables>): Promise<string[]> {
  const { rows } = await sql<{ integrity_check: string }>`pragma integrity_check`.execute(db);
  return rows.map(({ integrity_check: text }) => text).filter((text) => text !== 'ok');
}
