import type { PostgresPool, PostgresPoolClient, PostgresQueryResult } from 'kysely';
import type { Pool, PoolClient } from 'pg';
import { leavesConnectionUsable, toPostgresFault } from './postgres-fault.js';
import { fromStoredText, toStoredText } from './stored-text.js';

/** Statements that are prepared once a connection; later ones are planned at each use. */
const PREPARED_MAX = 200;

/**
 * A pool of pg for Kysely. Throws as postgres-fault says; a connection on which anything else happened than a refused statement
 * is not used again.
 */
export function postgresPool(pool: Pool): PostgresPool {
  const names = new Map<string, string>();
  const nameOf = (sql: string): string | undefined => {
    if (!names.has(sql) && names.size < PREPARED_MAX) names.set(sql, `rune_${names.size}`);
    return names.get(sql);
  };
  // Between giving a connection away and its new holder's first look, what the server says meanwhile would end the process. The
  // holder finds out by the connection's next use.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return {
    connect: async () => wrap(await pool.connect().catch(throwFault), nameOf),
    end: () => pool.end(),
  };
}

function wrap(client: PoolClient, nameOf: (sql: string) => string | undefined): PostgresPoolClient {
  let lost: unknown;
  const onError = (thrown: unknown): void => {
    lost ??= thrown;
  };
  client.on('error', onError);

  const query = async (
    sql: string,
    parameters: readonly unknown[],
  ): Promise<PostgresQueryResult<Record<string, unknown>>> => {
    // Also a rollback: the server does that itself when the connection ends.
    if (lost !== undefined) throw toPostgresFault(lost);
    try {
      const name = nameOf(sql);
      const values = parameters.map(toBinding);
      const text = { text: sql, values };
      const result = await client.query<Record<string, unknown>>(
        name === undefined ? text : { ...text, name },
      );
      for (const row of result.rows) decode(row);
      return result as PostgresQueryResult<Record<string, unknown>>;
    } catch (thrown) {
      if (!leavesConnectionUsable(thrown)) onError(thrown);
      throw toPostgresFault(thrown);
    }
  };
  return {
    query: query as PostgresPoolClient['query'],
    release() {
      client.off('error', onError);
      client.release(lost !== undefined);
    },
  };
}

function throwFault(thrown: unknown): never {
  throw toPostgresFault(thrown);
}

function toBinding(value: unknown): unknown {
  if (typeof value === 'string') return toStoredText(value);
  return Array.isArray(value) ? value.map(toBinding) : value;
}

function decode(row: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(row)) {
    if (typeof value === 'string') row[name] = fromStoredText(value);
  }
}
