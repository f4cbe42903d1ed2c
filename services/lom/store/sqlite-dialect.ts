import { CompiledQuery, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely';
import type { DatabaseConnection, Dialect, Driver, QueryResult } from 'kysely';
import type { SqliteStatements } from './sqlite-statements.js';

/**
 * SQLite for Kysely: one connection that is handed to one call after the other. Throws as sqlite-fault says. `begin` starts a
 * transaction: a deferred one that turns to writing would fail at once if another one writes, whatever the timeout.
 */
export function sqliteDialect(
  statements: SqliteStatements,
  begin: 'begin' | 'begin immediate' = 'begin immediate',
): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => sqliteDriver(statements, begin),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

function sqliteDriver(statements: SqliteStatements, begin: string): Driver {
  let free = Promise.resolve();
  let release = (): void => undefined;

  const execute = (sql: string, parameters: readonly unknown[]): QueryResult<never> => {
    const { rows, changes } = statements.perform(sql, parameters);
    return changes === undefined ? { rows: rows as never[] } : { rows: [], numAffectedRows: BigInt(changes) };
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
      await statements.pause();
      return connection;
    },
    beginTransaction: (own) => run(own, begin),
    commitTransaction: (own) => run(own, 'commit'),
    // A full disk has ended the transaction already.
    rollbackTransaction: (own) => (statements.isInTransaction() ? run(own, 'rollback') : Promise.resolve()),
    releaseConnection() {
      release();
      return Promise.resolve();
    },
    destroy() {
      statements.close();
      return Promise.resolve();
    },
  };
}

async function run(connection: DatabaseConnection, sql: string): Promise<void> {
  await connection.executeQuery(CompiledQuery.raw(sql));
}
