import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DatabaseSyncInstance, StatementSyncInstance } from '@photostructure/sqlite';
import { toSqliteFault } from './sqlite-fault.js';
import { fromStoredText, toStoredText } from './stored-text.js';

/** Prepared statements that are kept; the longest unused one goes first. */
const STATEMENTS_MAX = 200;
/** Statements run in the thread of the service: after this long in them the rest of the process gets its turn. */
const TURN_MS = 5;

/** A row by its columns' names. */
export type SqliteRow = Record<string, unknown>;

/** What a statement did. */
export interface SqliteAnswer {
  readonly rows: SqliteRow[];
  /** Rows that it wrote; undefined for one that answers rows. */
  readonly changes: number | undefined;
}

/** The statements of one open database, which it performs at once. They throw as sqlite-fault says. */
export interface SqliteStatements {
  perform(sql: string, values: readonly unknown[]): SqliteAnswer;
  /** Performs a statement that answers no rows, and returns how many it changed. */
  run(sql: string, values: readonly unknown[]): number;
  /** Settles when the rest of the process has had its turn, if it waited for long. */
  pause(): Promise<void> | undefined;
  isInTransaction(): boolean;
  close(): void;
}

/** Prepares statements on this database when they are first needed, and keeps them. */
export function sqliteStatements(database: DatabaseSyncInstance): SqliteStatements {
  const prepare = statementCache(database);
  let usedMs = 0;

  const perform = (sql: string, values: readonly unknown[]): SqliteAnswer => {
    const startedMs = performance.now();
    try {
      const { statement, answersRows } = prepare(sql);
      const bound = values.map(toBinding);
      // Rows have no prototype and blobs are no Buffers: copied into what the rest expects.
      if (answersRows) return { rows: statement.all(...bound).map(toRow), changes: undefined };
      return { rows: [], changes: statement.run(...bound).changes };
    } catch (thrown) {
      throw toSqliteFault(thrown);
    } finally {
      usedMs += performance.now() - startedMs;
    }
  };
  return {
    perform,
    run: (sql, values) => perform(sql, values).changes ?? 0,
    pause() {
      if (usedMs <= TURN_MS) return undefined;
      usedMs = 0;
      return nextTurn();
    },
    isInTransaction: () => database.isTransaction,
    close() {
      if (database.isOpen) database.close();
    },
  };
}

interface Prepared {
  readonly statement: StatementSyncInstance;
  readonly answersRows: boolean;
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

function toRow(row: SqliteRow): SqliteRow {
  const copy: SqliteRow = {};
  for (const name of Object.keys(row)) copy[name] = toValue(row[name]);
  return copy;
}

function toValue(value: unknown): unknown {
  if (typeof value === 'string') return fromStoredText(value);
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return value;
}
