import { DatabaseUnavailable } from './store-fault.js';

/** Primary result codes of SQLite that speak of the database, not of the statement. */
const UNAVAILABLE_CODES = new Set([
  5, // BUSY
  6, // LOCKED
  7, // NOMEM
  8, // READONLY
  10, // IOERR
  11, // CORRUPT
  13, // FULL
  14, // CANTOPEN
  15, // PROTOCOL
  23, // AUTH
  26, // NOTADB
]);
/** The same as texts: a statement that answers rows throws without a code. */
const UNAVAILABLE_TEXT =
  /^(?:database is locked|database table is locked|out of memory|attempt to write a readonly database|disk I\/O error|database disk image is malformed|database or disk is full|unable to open database file|locking protocol|authorization denied|file is not a database|database is not open)/;

/** What SQLite threw, as the store knows it. */
export function toSqliteFault(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return thrown;
  const { errcode } = thrown as { errcode?: unknown };
  const unavailable =
    typeof errcode === 'number'
      ? UNAVAILABLE_CODES.has(errcode & 0xff)
      : UNAVAILABLE_TEXT.test(thrown.message);
  return unavailable ? new DatabaseUnavailable(thrown.message, { cause: thrown }) : thrown;
}
