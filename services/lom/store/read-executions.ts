import type { Kysely } from 'kysely';
import { EXECUTION_COLUMNS, toExecutionRecord } from './execution-columns.js';
import type { StoreTables } from './store-tables.js';
import type { ExecutionFilter, ExecutionRecord } from './store.js';

/** Stands for the request in a list. */
const NO_REQUEST = Buffer.alloc(0);

/** Store.execution. */
export async function readExecution(
  db: Kysely<StoreTables>,
  id: string,
): Promise<ExecutionRecord | undefined> {
  const [record] = await readExecutionsWithRequest(db, [id]);
  return record;
}

/** The executions with these ids, in the order of the ids. */
export async function readExecutionsWithRequest(
  db: Kysely<StoreTables>,
  ids: readonly string[],
): Promise<ExecutionRecord[]> {
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom('executions')
    .innerJoin('requests', 'requests.execution_id', 'executions.id')
    .select(EXECUTION_COLUMNS)
    .select('requests.body')
    .where('executions.id', 'in', ids)
    .orderBy('executions.id')
    .execute();
  return rows.map(({ body, ...row }) => toExecutionRecord(row, body));
}

/** Store.executions. */
export async function listExecutions(
  db: Kysely<StoreTables>,
  filter: ExecutionFilter,
  limit: number,
  before: string | undefined,
): Promise<ExecutionRecord[]> {
  const { action, node, states, triggeredBy, correlationId, sinceMs, untilMs } = filter;
  let query = db.selectFrom('executions').select(EXECUTION_COLUMNS);
  if (sinceMs !== undefined || untilMs !== undefined) {
    const ids = await idsWithin(db, sinceMs ?? 0, untilMs ?? Number.MAX_SAFE_INTEGER);
    if (ids === undefined) return [];
    query = query
      .where('executions.id', '>=', ids.first)
      .where('executions.id', '<=', ids.last)
      .where('executions.created_ms', '>=', sinceMs ?? 0)
      .where('executions.created_ms', '<', untilMs ?? Number.MAX_SAFE_INTEGER);
  }
  if (before !== undefined) query = query.where('executions.id', '<', before);
  if (action !== undefined) query = query.where('executions.action', '=', action);
  if (triggeredBy !== undefined) query = query.where('executions.triggered_by', '=', triggeredBy);
  if (correlationId !== undefined) query = query.where('executions.correlation_id', '=', correlationId);
  if (states !== undefined) {
    if (states.length === 0) return [];
    query = query.where('executions.state', 'in', states);
  }
  if (node !== undefined) {
    query = query.where('executions.id', 'in', (runs) =>
      runs.selectFrom('runs').select('runs.execution_id').where('runs.node', '=', node),
    );
  }
  const rows = await query.orderBy('executions.id', 'desc').limit(limit).execute();
  return rows.map((row) => toExecutionRecord(row, NO_REQUEST));
}

/**
 * The first and the last id of a span of time. Ids sort by the clocks of replicas, which differ a little from the database's: so
 * this looks at each entry of the index in that span, and the list need not go through all that is older.
 */
async function idsWithin(
  db: Kysely<StoreTables>,
  sinceMs: number,
  untilMs: number,
): Promise<{ first: string; last: string } | undefined> {
  const row = await db
    .selectFrom('executions')
    .select((eb) => [eb.fn.min<string | null>('id').as('first'), eb.fn.max<string | null>('id').as('last')])
    .where('created_ms', '>=', sinceMs)
    .where('created_ms', '<', untilMs)
    .executeTakeFirst();
  if (row === undefined || row.first === null || row.last === null) return undefined;
  return { first: row.first, last: row.last };
}
