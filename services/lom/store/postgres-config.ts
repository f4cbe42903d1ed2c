import { Client, types } from 'pg';
import type { PoolConfig } from 'pg';
import { RuneError } from '../../shared/errors.js';
import type { StoreSettings } from './store-settings.js';

/** What the server is given to end a statement itself before this side gives the connection up. */
const STATEMENT_MARGIN_MS = 1_000;
const IDLE_TIMEOUT_MS = 60_000;
const KEEP_ALIVE_DELAY_MS = 10_000;
const INT8 = 20;

/** How connections to the server are made. Throws CONFIGURATION_INVALID for a URL that pg does not understand. */
export function postgresConfig(
  url: string,
  shown: string,
  { storeConnectTimeoutMs, storeStatementTimeoutMs, storeConnectionsMax }: StoreSettings,
): PoolConfig {
  const config: PoolConfig = {
    connectionString: url,
    application_name: 'rune-lom',
    // Whatever the server's default is: what is acknowledged is on its disk.
    options: '-c synchronous_commit=on',
    max: storeConnectionsMax,
    connectionTimeoutMillis: storeConnectTimeoutMs,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    statement_timeout: storeStatementTimeoutMs,
    query_timeout: storeStatementTimeoutMs + STATEMENT_MARGIN_MS,
    // A process that stands still must not hold what others wait for until their statements are over.
    idle_in_transaction_session_timeout: Math.ceil(storeStatementTimeoutMs / 2),
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
    types: {
      // Numbers of events, times and counts: all of them exact as numbers.
      getTypeParser: (oid, format) => (oid === INT8 ? Number : types.getTypeParser(oid, format)),
    },
  };
  try {
    void new Client(config);
    return config;
  } catch (thrown) {
    // Without its cause, which would show the URL and its password.
    const { code = 'not a URL', path = '' } = thrown as NodeJS.ErrnoException;
    const why = `${code} ${path}`.trimEnd();
    throw new RuneError(
      'CONFIGURATION_INVALID',
      `The setting store is no address of a PostgreSQL database (${why}): write postgres://USER@HOST:PORT/DATABASE instead of ${shown}.`,
      { field: 'store' },
    );
  }
}
