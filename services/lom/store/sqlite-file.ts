import { closeSync, openSync, realpathSync } from 'node:fs';
import { DatabaseSync } from '@photostructure/sqlite';
import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { RuneError } from '../../shared/errors.js';

/** A reader from outside, such as the program sqlite3, may be in the way for a moment: how long that is waited for. */
const BUSY_TIMEOUT_MS = 1_000;
/** What a long reader made of the write-ahead log is given back to the disk down to this. */
const LOG_BYTES_MAX = 64 * 1024 * 1024;
/** The record says who did what: it is for the service alone. */
const FILE_MODE = 0o600;

/** The file beside a store that says who has it; see lockSqliteFile. */
export function lockFileOf(path: string): string {
  return `${path}-lock`;
}

/** Makes the file and its lock if they are not there, and resolves links, so that one file has one lock. Throws CONFIGURATION_INVALID. */
export function prepareSqliteFile(path: string): string {
  try {
    closeSync(openSync(path, 'a', FILE_MODE));
    const file = realpathSync(path);
    // Whoever may open the lock may hold it.
    closeSync(openSync(lockFileOf(file), 'a', FILE_MODE));
    return file;
  } catch (thrown) {
    const why = (thrown as NodeJS.ErrnoException).code ?? 'unknown';
    throw new RuneError(
      'CONFIGURATION_INVALID',
      `The store ${path} cannot be opened (${why}): its directory must exist and be writable for this user.`,
      { field: 'store' },
      { cause: thrown },
    );
  }
}

/** Opens a store file so that a committed transaction is on disk. */
export function openSqliteFile(path: string): DatabaseSyncInstance {
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    database.exec(`pragma journal_mode = wal`);
    // The default of a write-ahead log would not wait for the disk.
    database.exec('pragma synchronous = full');
    database.exec(`pragma journal_size_limit = ${LOG_BYTES_MAX}`);
    // What takes back half a statement is of no use after a crash: a file of its own would double the writes.
    database.exec('pragma temp_store = memory');
    return database;
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

/** Opens a store file to look at it, also while a service writes. */
export function openSqliteFileForReading(path: string): DatabaseSyncInstance {
  return new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS, readOnly: true });
}
