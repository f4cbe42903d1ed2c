import { RuneError } from '../../shared/errors.js';

/** Thrown by a driver: the database cannot be used now, as opposed to a statement that it refuses. */
export class DatabaseUnavailable extends Error {
  override readonly name = 'DatabaseUnavailable';
}

/** Thrown by a driver: another transaction was in the way; nothing was written, and it may be tried again at once. */
export class TransactionConflict extends Error {
  override readonly name = 'TransactionConflict';
}

const ATTEMPTS_MAX = 5;

/**
 * Performs a call of the store. Conflicts between transactions are tried again; what else a driver throws becomes
 * STORE_UNAVAILABLE, or INTERNAL for what only a fault of ours can cause.
 */
export async function callStore<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (thrown) {
      if (thrown instanceof TransactionConflict && attempt < ATTEMPTS_MAX) continue;
      throw toStoreError(thrown);
    }
  }
}

/** What a caller is told when the database threw. */
export function toStoreError(thrown: unknown): RuneError {
  return toError('The store cannot be used now', thrown);
}

/** The same while a store is opened: it is for who starts the service, so it names the store. */
export function toOpenError(shown: string, thrown: unknown): RuneError {
  return toError(`The store ${shown} cannot be used`, thrown);
}

function toError(what: string, thrown: unknown): RuneError {
  if (!(thrown instanceof DatabaseUnavailable) && !(thrown instanceof TransactionConflict)) {
    return RuneError.from(thrown);
  }
  return new RuneError('STORE_UNAVAILABLE', `${what}: ${thrown.message}.`, {}, { cause: thrown.cause });
}
