import { Kysely, sql } from 'kysely';
import { localChanges } from './changes.js';
import { createStore } from './create-store.js';
import { NO_LEASES } from './leases.js';
import { migrate } from './migrate.js';
import type { Migration } from './migrate.js';
import { sqliteDatabase } from './sqlite-database.js';
import { sqliteDialect } from './sqlite-dialect.js';
import { toSqliteFault } from './sqlite-fault.js';
import { openSqliteFile, prepareSqliteFile } from './sqlite-file.js';
import { lockSqliteFile } from './sqlite-lock.js';
import { sqliteStatements } from './sqlite-statements.js';
import type { StoreTables } from './store-tables.js';
import type { Store } from './store.js';

/** Opens the store in a file, which this process has alone until it closes it or ends. See openStore. */
export async function openSqliteStore(path: string): Promise<Store> {
  const file = prepareSqliteFile(path);
  const releaseLock = lockSqliteFile(file);
  try {
    const statements = sqliteStatements(openSqliteFile(file));
    const db = new Kysely<StoreTables>({ dialect: sqliteDialect(statements) });
    const close = async (): Promise<void> => {
      await db.destroy();
      releaseLock();
    };
    try {
      const serverKey = await migrate(sqliteMigration(db, path));
      return createStore({
        database: sqliteDatabase(db, statements),
        leases: NO_LEASES,
        changes: localChanges(),
        serverKey,
        close,
      });
    } catch (thrown) {
      await db.destroy();
      throw thrown;
    }
  } catch (thrown) {
    releaseLock();
    throw toSqliteFault(thrown);
  }
}

/** How the schema is kept over SQLite. */
export function sqliteMigration(db: Kysely<StoreTables>, shown: string): Migration {
  return {
    db,
    shown,
    types: {
      text: 'text',
      integer: 'integer',
      bytes: 'blob',
      options: 'strict',
      optionsOfChanging: 'strict',
    },
    // The process has the file alone.
    lock: () => Promise.resolve(),
    async hasMeta(on) {
      const query = sql<{ found: number }>`select count(*) as found from sqlite_schema where name = 'meta'`;
      const { rows } = await query.execute(on);
      return rows[0]?.found === 1;
    },
  };
}
