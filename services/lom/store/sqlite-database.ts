import { CompiledQuery, sql } from 'kysely';
import type { Kysely } from 'kysely';
import { RunState } from '../../shared/gen/rune/v1/run.js';
import { toExecutionValues } from './execution-columns.js';
import { shareTransactions } from './shared-transaction.js';
import type { StoreDatabase } from './store-database.js';
import type { StoreTables } from './store-tables.js';
import type { EventRecord, ExecutionChange, NewExecution } from './store.js';
import { toStoredText } from './stored-text.js';

const NOW_MS = `cast(round(unixepoch('subsec') * 1000) as integer)`;
const nowMs = sql.raw<number>(NOW_MS);

/** A store over SQLite: one process, one connection, every statement at once. */
export function sqliteDatabase(db: Kysely<StoreTables>): StoreDatabase {
  return {
    db,
    nowMs,
    skipLocked: false,
    alone: shareTransactions(db),
    insertExecution,
    writeChanges: (changes) => db.transaction().execute((transaction) => writeChanges(transaction, changes)),
  };
}

async function insertExecution(
  db: Kysely<StoreTables>,
  execution: NewExecution,
): Promise<number | undefined> {
  const row = await db
    .insertInto('executions')
    .values({ ...toExecutionValues(execution), created_ms: nowMs })
    .onConflict((conflict) => conflict.doNothing())
    .returning('created_ms as createdMs')
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const { id, request, runs, event } = execution;
  await run(db, 'insert into requests (execution_id, body) values (?, ?)', [id, request]);
  const names = runs.map(({ runId, node }) => [toStoredText(runId), toStoredText(node)]);
  await run(db, INSERT_RUNS, [id, JSON.stringify(names)]);
  await run(db, INSERT_EVENT, eventValues(id, event));
  return row.createdMs;
}

async function writeChanges(
  db: Kysely<StoreTables>,
  changes: readonly ExecutionChange[],
): Promise<ReadonlySet<string>> {
  const written = new Set<string>();
  for (const { executionId, epoch, events, runs, state, ended } of changes) {
    const first = events.at(0)?.seq ?? 0;
    const last = events.at(-1)?.seq ?? 0;
    const values = [first, last, state ?? null, ended === true ? 1 : 0, executionId, epoch];
    if ((await run(db, UPDATE_EXECUTION, values)) === 0) continue;
    written.add(executionId);
    for (const event of events) await run(db, INSERT_EVENT, eventValues(executionId, event));
    for (const change of runs) {
      await run(db, UPDATE_RUN, [
        change.runId ?? null,
        change.attempt ?? null,
        change.state ?? null,
        change.mediator ?? null,
        change.lmmInstanceId ?? null,
        change.mediatorEvent ?? null,
        change.placedMs ?? null,
        change.startedMs ?? null,
        change.endedMs ?? null,
        change.logBytes ?? null,
        change.outcomeSeq ?? null,
        executionId,
        change.position,
      ]);
    }
  }
  return written;
}

/** Performs one of the statements below, which are prepared once, and resolves with how many rows it changed. */
async function run(db: Kysely<StoreTables>, text: string, values: readonly unknown[]): Promise<number> {
  const { numAffectedRows } = await db.executeQuery(CompiledQuery.raw(text, [...values]));
  return Number(numAffectedRows ?? 0);
}

function eventValues(executionId: string, { seq, node, kind, body }: EventRecord): unknown[] {
  return [executionId, seq, node, kind, body.length, body];
}

const INSERT_EVENT =
  'insert into events (execution_id, seq, node, kind, bytes, body) values (?, ?, ?, ?, ?, ?)';

const INSERT_RUNS = `
insert into runs (execution_id, position, run_id, node, attempt, state, mediator, lmm_instance_id, mediator_event,
  placed_ms, started_ms, ended_ms, log_bytes, outcome_seq)
select ?1, key, value ->> 0, value ->> 1, 0, ${RunState.QUEUED}, '', '', 0, 0, 0, 0, 0, 0 from json_each(?2)`;

// Without a case that fits, last_seq becomes null, which it may not be: a gap fails the whole transaction.
const UPDATE_EXECUTION = `
update executions set
  last_seq = case when ?1 = 0 then last_seq when last_seq = ?1 - 1 then ?2 end,
  state = coalesce(?3, state),
  ended_ms = case when ?4 = 1 then ${NOW_MS} else ended_ms end
where id = ?5 and epoch = ?6 and (?1 = 0 or last_seq < ?2)`;

const UPDATE_RUN = `
update runs set
  run_id = coalesce(?, run_id),
  attempt = coalesce(?, attempt),
  state = coalesce(?, state),
  mediator = coalesce(?, mediator),
  lmm_instance_id = coalesce(?, lmm_instance_id),
  mediator_event = coalesce(?, mediator_event),
  placed_ms = coalesce(?, placed_ms),
  started_ms = coalesce(?, started_ms),
  ended_ms = coalesce(?, ended_ms),
  log_bytes = coalesce(?, log_bytes),
  outcome_seq = coalesce(?, outcome_seq)
where execution_id = ? and position = ?`;
