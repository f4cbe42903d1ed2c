import { CompiledQuery, sql } from 'kysely';
import type { Kysely } from 'kysely';
import { RunState } from '../../shared/gen/rune/v1/run.js';
import { toExecutionValues } from './execution-columns.js';
import type { StoreDatabase } from './store-database.js';
import type { StoreTables } from './store-tables.js';
import type { ExecutionChange, NewExecution } from './store.js';

const NOW_MS = 'floor(extract(epoch from clock_timestamp()) * 1000)::bigint';
const nowMs = sql.raw<number>(NOW_MS);

/** A store over PostgreSQL: what must be one transaction is one statement, which is one round trip. */
export function postgresDatabase(db: Kysely<StoreTables>): StoreDatabase {
  return {
    db,
    nowMs,
    skipLocked: true,
    alone: (attempt) => attempt(db),
    insertExecution,
    writeChanges: (changes) => writeChanges(db, changes),
  };
}

async function insertExecution(
  db: Kysely<StoreTables>,
  execution: NewExecution,
): Promise<number | undefined> {
  const { request, runs, event } = execution;
  const row = await db
    .with('created', (statement) =>
      statement
        .insertInto('executions')
        .values({ ...toExecutionValues(execution), created_ms: nowMs })
        .onConflict((conflict) => conflict.doNothing())
        .returning(['id', 'created_ms']),
    )
    .with(
      'asked',
      () => sql`(insert into requests (execution_id, body) select id, ${request}::bytea from created)`,
    )
    .with(
      'placed',
      () => sql`
        (insert into runs (execution_id, position, run_id, node, attempt, state, mediator, lmm_instance_id, mediator_event,
          placed_ms, started_ms, ended_ms, log_bytes, outcome_seq)
        select created.id, wanted.position - 1, wanted.run_id, wanted.node, 0, ${sql.lit(RunState.QUEUED)}, '', '', 0, 0, 0, 0, 0, 0
        from created, unnest(${runs.map(({ runId }) => runId)}::text[], ${runs.map(({ node }) => node)}::text[])
          with ordinality as wanted (run_id, node, position))`,
    )
    .with(
      'told',
      () => sql`
        (insert into events (execution_id, seq, node, kind, bytes, body)
        select id, ${event.seq}::bigint, ${event.node}::text, ${event.kind}::text, ${event.body.length}::bigint, ${event.body}::bytea
        from created)`,
    )
    .selectFrom('created')
    .select('created_ms as createdMs')
    .executeTakeFirst();
  return row?.createdMs;
}

async function writeChanges(
  db: Kysely<StoreTables>,
  changes: readonly ExecutionChange[],
): Promise<ReadonlySet<string>> {
  const events = changes.flatMap(({ executionId, events: own }) =>
    own.map((event) => ({ executionId, ...event })),
  );
  const runs = changes.flatMap(({ executionId, runs: own }) => own.map((run) => ({ executionId, ...run })));
  const { rows } = await db.executeQuery<{ id: string }>(
    CompiledQuery.raw(WRITE_CHANGES, [
      changes.map(({ executionId }) => executionId),
      changes.map(({ epoch }) => epoch),
      changes.map(({ events: own }) => own.at(0)?.seq ?? 0),
      changes.map(({ events: own }) => own.at(-1)?.seq ?? 0),
      changes.map(({ state }) => state ?? null),
      changes.map(({ ended }) => (ended === true ? 1 : 0)),
      events.map(({ executionId }) => executionId),
      events.map(({ seq }) => seq),
      events.map(({ node }) => node),
      events.map(({ kind }) => kind),
      events.map(({ body }) => body),
      runs.map(({ executionId }) => executionId),
      runs.map(({ position }) => position),
      runs.map(({ runId }) => runId ?? null),
      runs.map(({ attempt }) => attempt ?? null),
      runs.map(({ state }) => state ?? null),
      runs.map(({ mediator }) => mediator ?? null),
      runs.map(({ lmmInstanceId }) => lmmInstanceId ?? null),
      runs.map(({ mediatorEvent }) => mediatorEvent ?? null),
      runs.map(({ placedMs }) => placedMs ?? null),
      runs.map(({ startedMs }) => startedMs ?? null),
      runs.map(({ endedMs }) => endedMs ?? null),
      runs.map(({ logBytes }) => logBytes ?? null),
      runs.map(({ outcomeSeq }) => outcomeSeq ?? null),
    ]),
  );
  return new Set(rows.map(({ id }) => id));
}

// Without a case that fits, last_seq becomes null, which it may not be: a gap fails the whole statement.
const WRITE_CHANGES = `
with change as (
  select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
    as c (id, epoch, first_seq, last_seq, state, ended)
), updated as (
  update executions e set
    last_seq = case when c.first_seq = 0 then e.last_seq when e.last_seq = c.first_seq - 1 then c.last_seq end,
    state = coalesce(c.state, e.state),
    ended_ms = case when c.ended = 1 then ${NOW_MS} else e.ended_ms end
  from change c
  where e.id = c.id and e.epoch = c.epoch and (c.first_seq = 0 or e.last_seq < c.last_seq)
  returning e.id
), told as (
  insert into events (execution_id, seq, node, kind, bytes, body)
  select v.id, v.seq, v.node, v.kind, length(v.body), v.body
  from unnest($7::text[], $8::bigint[], $9::text[], $10::text[], $11::bytea[]) as v (id, seq, node, kind, body)
  join updated on updated.id = v.id
), moved as (
  update runs r set
    run_id = coalesce(v.run_id, r.run_id),
    attempt = coalesce(v.attempt, r.attempt),
    state = coalesce(v.state, r.state),
    mediator = coalesce(v.mediator, r.mediator),
    lmm_instance_id = coalesce(v.lmm_instance_id, r.lmm_instance_id),
    mediator_event = coalesce(v.mediator_event, r.mediator_event),
    placed_ms = coalesce(v.placed_ms, r.placed_ms),
    started_ms = coalesce(v.started_ms, r.started_ms),
    ended_ms = coalesce(v.ended_ms, r.ended_ms),
    log_bytes = coalesce(v.log_bytes, r.log_bytes),
    outcome_seq = coalesce(v.outcome_seq, r.outcome_seq)
  from unnest($12::text[], $13::bigint[], $14::text[], $15::bigint[], $16::bigint[], $17::text[], $18::text[], $19::bigint[],
      $20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[], $24::bigint[])
    as v (id, position, run_id, attempt, state, mediator, lmm_instance_id, mediator_event, placed_ms, started_ms, ended_ms,
      log_bytes, outcome_seq)
  join updated on updated.id = v.id
  where r.execution_id = v.id and r.position = v.position
)
select id from updated`;
