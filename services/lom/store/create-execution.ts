import type { Kysely } from 'kysely';
import { RuneError } from '../../shared/errors.js';
import { EXECUTION_COLUMNS, toExecutionRecord } from './execution-columns.js';
import type { StoreDatabase } from './store-database.js';
import type { StoreTables } from './store-tables.js';
import type { Created, ExecutionRecord, NewExecution } from './store.js';

/** Each attempt but the first follows somebody who gave up the request id at the same instant. */
const ATTEMPTS_MAX = 10;

const NONE: ReadonlySet<number> = new Set();

/** Store.createExecution. */
export function createExecution(
  database: StoreDatabase,
  execution: NewExecution,
  requestIdWindowMs: number,
): Promise<Created> {
  return database.alone(async (db) => {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      const inserted = await database.insertExecution(db, execution);
      if (inserted !== undefined) {
        const { createdMs, placed } = inserted;
        return { execution: newRecord(execution, createdMs), existing: false, placed };
      }
      // A statement of its own: it sees what was committed while the insert waited for it.
      const found = await findExisting(database, db, execution);
      if (found === undefined) continue; // Who was first has not committed after all.
      if (found.record.id === execution.id) return { execution: found.record, existing: false, placed: NONE };
      if (found.ageMs > requestIdWindowMs) {
        await releaseRequestId(db, found.record);
        continue;
      }
      if (!found.digest.equals(execution.requestDigest)) throw reused(execution, found.record);
      return { execution: found.record, existing: true, placed: NONE };
    }
    throw new Error('An execution could not be created: its request id was given up again and again.');
  });
}

// Field by field: leaving fields out of a copy takes several times as long as the rest of the call.
function newRecord(execution: NewExecution, createdMs: number): ExecutionRecord {
  return {
    id: execution.id,
    state: execution.state,
    action: execution.action,
    version: execution.version,
    digest: execution.digest,
    reason: execution.reason,
    triggeredBy: execution.triggeredBy,
    correlationId: execution.correlationId,
    requestId: execution.requestId,
    dryRun: execution.dryRun,
    rerunOf: execution.rerunOf,
    owner: execution.owner,
    request: execution.request,
    runs: execution.runs.length,
    createdMs,
    endedMs: 0,
    lastSeq: execution.event.seq,
    cancelAsked: false,
    cancelReason: '',
    epoch: 1,
  };
}

async function findExisting(
  { nowMs }: StoreDatabase,
  db: Kysely<StoreTables>,
  { id, triggeredBy, requestId }: NewExecution,
): Promise<{ record: ExecutionRecord; digest: Buffer; ageMs: number } | undefined> {
  const row = await db
    .selectFrom('executions')
    .innerJoin('requests', 'requests.execution_id', 'executions.id')
    .select(EXECUTION_COLUMNS)
    .select(['requests.body', 'executions.request_digest as requestDigest'])
    .select((eb) => eb(nowMs, '-', eb.ref('executions.created_ms')).as('ageMs'))
    .where((eb) =>
      eb.or([
        eb('executions.id', '=', id),
        eb.and([
          eb('executions.triggered_by', '=', triggeredBy),
          eb('executions.request_id', '=', requestId),
          eb('executions.request_id', '<>', ''),
        ]),
      ]),
    )
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const { body, requestDigest, ageMs, ...columns } = row;
  return { record: toExecutionRecord(columns, body), digest: requestDigest, ageMs };
}

async function releaseRequestId(db: Kysely<StoreTables>, old: ExecutionRecord): Promise<void> {
  await db
    .updateTable('executions')
    .set({ request_id: '' })
    .where('id', '=', old.id)
    .where('request_id', '=', old.requestId)
    .execute();
}

function reused(execution: NewExecution, earlier: ExecutionRecord): RuneError {
  return new RuneError(
    'REQUEST_ID_REUSED',
    `The request id ${JSON.stringify(execution.requestId)} belongs to the execution ${earlier.id}, which asked for something else.`,
    { field: 'request_id', executionId: earlier.id },
  );
}
