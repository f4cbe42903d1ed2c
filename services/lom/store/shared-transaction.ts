import type { Kysely } from 'kysely';
import { RuneError } from '../../shared/errors.js';
import type { StoreTables } from './store-tables.js';

/** Writers of one transaction: the next one begins soon. */
const WRITERS_MAX = 64;

type Attempt = (db: Kysely<StoreTables>) => Promise<unknown>;

interface Writer {
  readonly attempt: Attempt;
  readonly resolve: (value: unknown) => void;
  readonly reject: (thrown: unknown) => void;
}

/**
 * Lets writers that come at the same time share a transaction, and so one wait for the disk; one after the other in it. A writer that
 * throws a RuneError must have written nothing. One that throws anything else fails alone: the others are tried without it.
 */
export function shareTransactions(
  db: Kysely<StoreTables>,
): <T>(attempt: (db: Kysely<StoreTables>) => Promise<T>) => Promise<T> {
  const waiting: Writer[] = [];
  let working = false;

  const perform = async (writers: readonly Writer[]): Promise<void> => {
    try {
      const settle = await db.transaction().execute(async (transaction) => {
        const done: (() => void)[] = [];
        for (const { attempt, resolve, reject } of writers) {
          try {
            const value = await attempt(transaction);
            done.push(() => resolve(value));
          } catch (thrown) {
            if (!(thrown instanceof RuneError)) throw thrown;
            done.push(() => reject(thrown));
          }
        }
        return done;
      });
      for (const each of settle) each();
    } catch (thrown) {
      if (writers.length === 1) for (const { reject } of writers) reject(thrown);
      else for (const writer of writers) await perform([writer]);
    }
  };
  const work = async (): Promise<void> => {
    working = true;
    while (waiting.length > 0) {
      // Whoever comes in this turn of the event loop belongs to the same transaction.
      await new Promise(setImmediate);
      await perform(waiting.splice(0, WRITERS_MAX));
    }
    working = false;
  };
  return <T>(attempt: (db: Kysely<StoreTables>) => Promise<T>) =>
    new Promise<T>((resolve, reject) => {
      waiting.push({ attempt, resolve: resolve as Writer['resolve'], reject });
      if (!working) void work();
    });
}
