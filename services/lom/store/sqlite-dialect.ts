import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DatabaseSyncInstance, StatementSyncInstance } from '@photostructure/sqlite';
import { CompiledQuery, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely';
import type { DatabaseConnection, Dialect, Driver, QueryResult } from 'kysely';
import { toSqliteFault } from './sqlite-fault.js';
import { fromStoredText, toStoredText } from './stored-text.js';

/** Prepared statements that are kept; the longest unused one goes first. */
const STATEMENTS_MAX = 200;
/** Statements run in the thread of the service: after this long in them the rest of the process gets its turn. */
const TURN_MS = 5;

interface Prepared {
  readonly statement: StatementSyncInstance;
  readonly answersRows: boolean;
}

/**
 * SQLite for Kysely: one connection that is handed to one call after the other. Throws as sqlite-fault says. `begin` starts a
 * transaction: a deferred one that turns to writing would fail at once if another one writes, whatever the timeout.
 */
export function sqliteDialect(
  database: DatabaseSyncInstance,
  begin: 'begin' | 'begin immediate' = 'begin immediate',
): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => sqliteDriver(database, begin),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

function sqliteDriver(database: DatabaseSyncInstance, begin: string): Driver {
  const prepare = statementCache(database);
  let usedMs = 0;
  let free = Promise.resolve();
  let release = (): void => undefined;

  const execute = (sql: string, parameters: readonly unknown[]): QueryResult<never> => {
    const started = performance.now();
    try {
      const { statement, answersRows } = prepare(sql);
      const bound = parameters.map(toBinding);
      // Rows have no prototype and blobs are no Buffers: copied into what the rest expects.
      if (answersRows) return { rows: statement.all(...bound).map(toRow) as never[] };
      return { rows: [], numAffectedRows: BigInt(statement.run(...bound).changes) };
    } catch (thrown) {
      throw toSqliteFault(thrown);
    } finally {
      usedMs += performance.now() - started;
    }
  };
  const connection: DatabaseConnection = {
    executeQuery: <R>(query: CompiledQuery) =>
      new Promise<QueryResult<R>>((resolve) => resolve(execute(query.sql, query.parameters))),
    streamQuery: () => {
      throw new Error('This driver streams nothing: read pages.');
    },
  };
  return {
    init: () => Promise.resolve(),
    async acquireConnection() {
      const before = free;
      let done = (): void => undefined;
      free = new Promise((resolve) => (done = resolve));
      await before;
      release = done;
      if (usedMs > TURN_MS) {
        await nextTurn();
        usedMs = 0;
      }
      return connection;
    },
    beginTransaction: (own) => run(own, begin),
    commitTransaction: (own) => run(own, 'commit'),
    // A full disk has ended the transaction already.
    rollbackTransaction: (own) => (database.isTransaction ? run(own, 'rollback') : Promise.resolve()),
    releaseConnection() {
      release();
      return Promise.resolve();
    },
    destroy() {
      if (database.isOpen) database.close();
      return Promise.resolve();
    },
  };
}

async function run(connection: DatabaseConnection, sql: string): Promise<void> {
  await connection.executeQuery(CompiledQuery.raw(sql));
}

function statementCache(database: DatabaseSyncInstance): (sql: string) => Prepared {
  const cache = new Map<string, Prepared>();
  return (sql) => {
    let prepared = cache.get(sql);
    if (prepared === undefined) {
      const statement = database.prepare(sql);
      prepared = { statement, answersRows: statement.columns().length > 0 };
    } else {
      cache.delete(sql);
    }
    cache.set(sql, prepared);
    if (cache.size > STATEMENTS_MAX) {
      for (const oldest of cache.keys()) {
        cache.delete(oldest);
        break;
      }
    }
    return prepared;
  };
}

/** Only what SQLite stores as it is: anything else would silently become NULL or another value. */
function toBinding(value: unknown): string | number | Buffer | null {
  if (typeof value === 'string') return toStoredText(value);
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  if (value === null || Buffer.isBuffer(value)) return value;
  throw new Error(`The store cannot hold a value of the type ${typeof value}.`);
}

function toRow(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, toValue(value)]));
}

function toValue(value: unknown): unknown {
  if (typeof value === 'string') return fromStoredText(value);
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return value;
}
