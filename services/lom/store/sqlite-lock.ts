import { DatabaseSync } from '@photostructure/sqlite';
import { RuneError } from '../../shared/errors.js';
import { lockFileOf } from './sqlite-file.js';

/** Ends the lock. */
export type ReleaseLock = () => void;

/**
 * Takes the store file for this process, by an exclusive transaction on a tiny database beside it: the kernel ends that lock with
 * the process, however it ends, and the file itself stays readable for others. Throws CONFIGURATION_INVALID while another store
 * has the file.
 */
export function lockSqliteFile(path: string): ReleaseLock {
  const lock = new DatabaseSync(lockFileOf(path), { timeout: 0 });
  try {
    lock.exec('begin exclusive');
  } catch (thrown) {
    lock.close();
    if ((thrown as { errcode?: unknown }).errcode !== SQLITE_BUSY) throw thrown;
    throw new RuneError(
      'CONFIGURATION_INVALID',
      `The store ${path} is in use by another process: stop that one, give this one a file of its own, or use PostgreSQL for several.`,
      { field: 'store' },
      { cause: thrown },
    );
  }
  return () => lock.close();
}

const SQLITE_BUSY = 5;
