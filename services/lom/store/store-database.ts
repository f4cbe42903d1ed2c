import type { Kysely, RawBuilder } from 'kysely';
import type { ExecutionChange, NewExecution } from './store.js';
import type { StoreTables } from './store-tables.js';

/** A database that holds a store: what is done differently over SQLite and over PostgreSQL. */
export interface StoreDatabase {
  readonly db: Kysely<StoreTables>;
  /** The clock of the database in milliseconds since 1970, … */
  readonly nowMs: RawBuilder<number>;
  /** … and as text. */
  readonly nowSql: string;
  /** Locks the rows that a query in a transaction chooses, leaving out those that are locked; undefined where one writes at a time. */
  readonly skipLocked: boolean;
  /**
   * Performs `attempt` so that nobody else writes in between, where that is possible without waiting for a network: over SQLite
   * in a transaction. If it throws a RuneError it must have written nothing.
   */
  alone<T>(attempt: (db: Kysely<StoreTables>) => Promise<T>): Promise<T>;
  /**
   * Writes an execution with its request, runs and first event, all or nothing but for placements whose needs are not free. Resolves
   * with undefined if its id or its request id is there already.
   */
  insertExecution(db: Kysely<StoreTables>, execution: NewExecution): Promise<Inserted | undefined>;
  /** Writes changes in one transaction. */
  writeChanges(changes: readonly ExecutionChange[]): Promise<Written>;
}

/** An execution that was written. */
export interface Inserted {
  readonly createdMs: number;
  /** Positions of the runs that are placed. */
  readonly placed: ReadonlySet<number>;
}

/** What became of changes. */
export interface Written {
  /** Executions whose change is neither of an older epoch nor written before. */
  readonly executions: ReadonlySet<string>;
  /** Runs whose change was left out, because somebody else has their lock. */
  readonly lockedOut: ReadonlySet<string>;
}
