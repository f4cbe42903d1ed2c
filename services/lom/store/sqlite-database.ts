import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import { RunState } from '../../shared/gen/rune/v1/run.js';
import { EXECUTION_VALUES, toExecutionValues } from './execution-columns.js';
import { shareTransactions } from './shared-transaction.js';
import type { SqliteStatements } from './sqlite-statements.js';
import type { Inserted, StoreDatabase, Written } from './store-database.js';
import type { StoreTables } from './store-tables.js';
import { IS_OVER, limitKeyOf, TAKES_OVER } from './lock-rules.js';
import type { ActionLimit, EventRecord, ExecutionChange, LockRequest, NewExecution } from './store.js';
import { toStoredBody } from './stored-body.js';
import { toStoredText } from './stored-text.js';

const NOW_MS = `cast(round(unixepoch('subsec') * 1000) as integer)`;

/**
 * A store over SQLite: one process, one connection, every statement at once. What is written for each execution goes to the statements
 * themselves, inside the transaction that has the connection: built and awaited one by one they would cost more than the disk.
 */
export function sqliteDatabase(db: Kysely<StoreTables>, statements: SqliteStatements): StoreDatabase {
  const share = shareTransactions(db);
  return {
    db,
    nowMs: sql.raw<number>(NOW_MS),
    nowSql: NOW_MS,
    skipLocked: false,
    alone: share,
    async insertExecution(_inTransaction, execution) {
      return insertExecution(statements, execution);
    },
    writeChanges: (changes) => share(async () => writeChanges(statements, changes)),
  };
}

function insertExecution(statements: SqliteStatements, execution: NewExecution): Inserted | undefined {
  const columns = toExecutionValues(execution);
  const { rows } = statements.perform(
    INSERT_EXECUTION,
    EXECUTION_VALUES.map((column) => columns[column]),
  );
  const createdMs = rows[0]?.['created_ms'];
  if (createdMs === undefined) return undefined;
  const { id, request, runs, event } = execution;
  statements.run('insert into requests (execution_id, body) values (?, ?)', [id, request]);
  const placed = new Set<number>();
  const values = runs.map(({ runId, node, placement }, position) => {
    const names = [toStoredText(runId), toStoredText(node)];
    if (placement === undefined) return names;
    const { mediator, lmmInstanceId, placedMs, lock } = placement;
    if (lock !== undefined && !takeLock(statements, id, position, { ...lock, waitMs: 0 })) return names;
    placed.add(position);
    return [...names, toStoredText(mediator), toStoredText(lmmInstanceId), placedMs];
  });
  statements.run(INSERT_RUNS, [id, JSON.stringify(values)]);
  statements.run(INSERT_EVENT, eventValues(id, event));
  return { createdMs: createdMs as number, placed };
}

function writeChanges(statements: SqliteStatements, changes: readonly ExecutionChange[]): Written {
  const written = new Set<string>();
  const lockedOut = new Set<string>();
  for (const { executionId, epoch, events, runs, state, ended } of changes) {
    const first = events.at(0)?.seq ?? 0;
    const last = events.at(-1)?.seq ?? 0;
    const values = [first, last, state ?? null, ended === true ? 1 : 0, executionId, epoch];
    if (statements.run(UPDATE_EXECUTION, values) === 0) continue;
    written.add(executionId);
    for (const event of events) statements.run(INSERT_EVENT, eventValues(executionId, event));
    for (const change of runs) {
      const { lock, position } = change;
      if (lock !== undefined && !takeLock(statements, executionId, position, lock)) {
        lockedOut.add(lock.runId);
        continue;
      }
      if (change.leavesQueue === true) statements.run(LEAVE_QUEUE, [executionId, position]);
      if (change.keepsLockMs !== undefined)
        for (const keep of [KEEP_LOCK, KEEP_PLACE])
          statements.run(keep, [executionId, position, change.keepsLockMs]);
      if (change.coolsDown !== undefined) {
        const { key, action, forMs } = change.coolsDown;
        statements.run(COOL_DOWN, [key, action, forMs]);
      }
      statements.run(UPDATE_RUN, [
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
        position,
      ]);
    }
  }
  return { executions: written, lockedOut };
}

function takeLock(
  statements: SqliteStatements,
  executionId: string,
  position: number,
  { key, limit, runId, waitMs }: LockRequest,
): boolean {
  const lacks = (): string | undefined => {
    if (limit !== undefined && !takePlace(statements, executionId, position, runId, limit))
      return limitKeyOf(limit.action);
    if (key === undefined || statements.run(TAKE_LOCK, [key, executionId, position, runId]) === 1)
      return undefined;
    if (limit !== undefined) statements.run(LEAVE_PLACE, [executionId, position]);
    return key;
  };
  const lacking = lacks();
  if (lacking === undefined) statements.run(LEAVE_QUEUE, [executionId, position]);
  else if (waitMs > 0) statements.run(JOIN_QUEUE, [executionId, position, runId, lacking, waitMs]);
  return lacking === undefined;
}

function takePlace(
  statements: SqliteStatements,
  executionId: string,
  position: number,
  runId: string,
  { action, max }: ActionLimit,
): boolean {
  statements.run(FREE_PLACES, [action]);
  const values = [limitKeyOf(action), executionId, position, runId, action, max];
  return statements.run(TAKE_PLACE, values) === 1;
}

function eventValues(executionId: string, { seq, node, kind, body }: EventRecord): unknown[] {
  return [executionId, seq, node, kind, body.length, toStoredBody(body)];
}

const INSERT_EXECUTION = `
insert into executions (${EXECUTION_VALUES.join(', ')}, created_ms)
values (${EXECUTION_VALUES.map(() => '?').join(', ')}, ${NOW_MS})
on conflict do nothing returning created_ms`;

const INSERT_EVENT =
  'insert into events (execution_id, seq, node, kind, bytes, body) values (?, ?, ?, ?, ?, ?)';

const INSERT_RUNS = `
insert into runs (execution_id, position, run_id, node, attempt, state, mediator, lmm_instance_id, mediator_event,
  placed_ms, started_ms, ended_ms, log_bytes, outcome_seq)
select ?1, key, value ->> 0, value ->> 1, value ->> 2 is not null, ${RunState.QUEUED}, coalesce(value ->> 2, ''),
  coalesce(value ->> 3, ''), 0, coalesce(value ->> 4, 0), 0, 0, 0, 0
from json_each(?2)`;

// Without a case that fits, last_seq becomes null, which it may not be: a gap fails the whole transaction.
const UPDATE_EXECUTION = `
update executions set
  last_seq = case when ?1 = 0 then last_seq when last_seq = ?1 - 1 then ?2 end,
  state = coalesce(?3, state),
  ended_ms = case when ?4 = 1 then ${NOW_MS} else ended_ms end
where id = ?5 and epoch = ?6 and (?1 = 0 or last_seq < ?2)`;

// Of the run ?2, ?3, which waits for ?1, or has not waited yet.
const IS_NEXT = `not exists (
    select 1 from node_waiters o
    left join node_waiters m on m.execution_id = ?2 and m.position = ?3
    where o.lock_key = ?1 and o.until_ms > ${NOW_MS} and not (o.execution_id = ?2 and o.position = ?3)
      and (m.asked_ms is null or (o.asked_ms, o.run_id) < (m.asked_ms, m.run_id)))`;

const TAKE_LOCK = `
insert into node_locks as l (lock_key, execution_id, position, run_id, since_ms, until_ms)
select ?1, ?2, ?3, ?4, ${NOW_MS}, 0
where exists (select 1 from node_locks h where h.lock_key = ?1 and h.execution_id = ?2 and h.position = ?3 and h.until_ms = 0)
  or ${IS_NEXT}
${TAKES_OVER(NOW_MS)}`;

const FREE_PLACES = `delete from action_places as p where p.action = ?1 and ${IS_OVER(NOW_MS)}`;

const TAKE_PLACE = `
insert into action_places (execution_id, position, run_id, action, since_ms, until_ms)
select ?2, ?3, ?4, ?5, ${NOW_MS}, 0
where exists (select 1 from action_places h where h.execution_id = ?2 and h.position = ?3)
  or ((select count(*) from action_places h where h.action = ?5) < ?6 and ${IS_NEXT})
on conflict (execution_id, position) do update set run_id = excluded.run_id`;

const LEAVE_PLACE = 'delete from action_places where execution_id = ? and position = ?';

const JOIN_QUEUE = `
insert into node_waiters (execution_id, position, run_id, lock_key, asked_ms, until_ms)
values (?1, ?2, ?3, ?4, ${NOW_MS}, ${NOW_MS} + ?5)
on conflict (execution_id, position) do update set lock_key = excluded.lock_key`;

const LEAVE_QUEUE = 'delete from node_waiters where execution_id = ? and position = ?';

const KEEP_LOCK = `
update node_locks set until_ms = ${NOW_MS} + ?3 where execution_id = ?1 and position = ?2 and until_ms = 0`;

const KEEP_PLACE = `
update action_places set until_ms = ${NOW_MS} + ?3 where execution_id = ?1 and position = ?2 and until_ms = 0`;

const COOL_DOWN = `
insert into node_cooldowns (lock_key, action, until_ms) values (?1, ?2, ${NOW_MS} + ?3)
on conflict (lock_key, action) do update set until_ms = excluded.until_ms`;

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
  outcome_seq = coalesce(?, outcome_seq),
  away_since_ms = 0
where execution_id = ? and position = ?`;
