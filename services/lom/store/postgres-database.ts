import { CompiledQuery, sql } from 'kysely';
import type { Kysely } from 'kysely';
import { RunState } from '../../shared/gen/rune/v1/run.js';
import { toExecutionValues } from './execution-columns.js';
import { IS_OVER, limitKeyOf, TAKES_OVER } from './lock-rules.js';
import type { Inserted, StoreDatabase, Written } from './store-database.js';
import type { StoreTables } from './store-tables.js';
import type { ExecutionChange, NewExecution } from './store.js';
import { toStoredBody } from './stored-body.js';

const NOW_MS = 'floor(extract(epoch from clock_timestamp()) * 1000)::bigint';
const nowMs = sql.raw<number>(NOW_MS);

/** A store over PostgreSQL: what must be one transaction is one statement, which is one round trip. */
export function postgresDatabase(db: Kysely<StoreTables>): StoreDatabase {
  return {
    db,
    nowMs,
    nowSql: NOW_MS,
    skipLocked: true,
    alone: (attempt) => attempt(db),
    insertExecution,
    writeChanges: (changes) => writeChanges(db, changes),
  };
}

async function insertExecution(
  db: Kysely<StoreTables>,
  execution: NewExecution,
): Promise<Inserted | undefined> {
  const { id, runs } = execution;
  const placing = runs.flatMap(({ runId, placement }, position) =>
    placement === undefined ? [] : [{ position, runId, attempt: 1, ...placement }],
  );
  if (placing.every(({ lock }) => lock === undefined)) {
    const createdMs = await insertTogether(db, execution);
    if (createdMs === undefined) return undefined;
    return { createdMs, placed: new Set(placing.map(({ position }) => position)) };
  }
  return db
    .transaction()
    .setIsolationLevel('read committed')
    .execute(async (transaction) => {
      const unplaced = runs.map(({ runId, node }) => ({ runId, node }));
      const createdMs = await insertTogether(transaction, { ...execution, runs: unplaced });
      if (createdMs === undefined) return undefined;
      const asking = placing.map(({ lock, ...run }) =>
        lock ? { ...run, lock: { ...lock, waitMs: 0 } } : run,
      );
      const { lockedOut } = await writeAlone(transaction, [
        { executionId: id, epoch: 1, events: [], runs: asking },
      ]);
      const placed = placing.filter(({ runId }) => !lockedOut.has(runId));
      return { createdMs, placed: new Set(placed.map(({ position }) => position)) };
    });
}

async function insertTogether(db: Kysely<StoreTables>, execution: NewExecution): Promise<number | undefined> {
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
        select created.id, wanted.position - 1, wanted.run_id, wanted.node, (wanted.mediator is not null)::int,
          ${sql.lit(RunState.QUEUED)}, coalesce(wanted.mediator, ''), coalesce(wanted.lmm_instance_id, ''), 0,
          coalesce(wanted.placed_ms, 0), 0, 0, 0, 0
        from created, unnest(
          ${runs.map(({ runId }) => runId)}::text[],
          ${runs.map(({ node }) => node)}::text[],
          ${runs.map(({ placement }) => placement?.mediator ?? null)}::text[],
          ${runs.map(({ placement }) => placement?.lmmInstanceId ?? null)}::text[],
          ${runs.map(({ placement }) => placement?.placedMs ?? null)}::bigint[]
        ) with ordinality as wanted (run_id, node, mediator, lmm_instance_id, placed_ms, position))`,
    )
    .with(
      'told',
      () => sql`
        (insert into events (execution_id, seq, node, kind, bytes, body)
        select id, ${event.seq}::bigint, ${event.node}::text, ${event.kind}::text, ${event.body.length}::bigint, ${toStoredBody(event.body)}::bytea
        from created)`,
    )
    .selectFrom('created')
    .select('created_ms as createdMs')
    .executeTakeFirst();
  return row?.createdMs;
}

async function writeChanges(db: Kysely<StoreTables>, changes: readonly ExecutionChange[]): Promise<Written> {
  if (limitsOf(changes).length === 0) return writeTogether(db, changes);
  return db
    .transaction()
    .setIsolationLevel('read committed')
    .execute((transaction) => writeAlone(transaction, changes));
}

const limitsOf = (changes: readonly ExecutionChange[]): readonly string[] => [
  ...new Set(changes.flatMap(({ runs }) => runs.flatMap(({ lock }) => lock?.limit?.action ?? []))),
];

/** In a transaction. The statement sees only what was committed before it began: whoever counts places must be alone from before that. */
async function writeAlone(
  transaction: Kysely<StoreTables>,
  changes: readonly ExecutionChange[],
): Promise<Written> {
  const limits = limitsOf(changes);
  if (limits.length > 0)
    await transaction.executeQuery(CompiledQuery.raw(LOCK_LIMITS, [limits.map(limitKeyOf)]));
  return writeTogether(transaction, changes);
}

async function writeTogether(db: Kysely<StoreTables>, changes: readonly ExecutionChange[]): Promise<Written> {
  const events = changes.flatMap(({ executionId, events: own }) =>
    own.map((event) => ({ executionId, ...event })),
  );
  const runs = changes.flatMap(({ executionId, runs: own }) => own.map((run) => ({ executionId, ...run })));
  const locking = runs.flatMap(({ executionId, position, lock }) =>
    lock === undefined ? [] : [{ executionId, position, ...lock }],
  );
  const leaving = runs.filter(({ leavesQueue }) => leavesQueue === true);
  const keeping = runs.filter(({ keepsLockMs }) => keepsLockMs !== undefined);
  const cooling = runs.flatMap(({ executionId, coolsDown }) =>
    coolsDown === undefined ? [] : [{ executionId, ...coolsDown }],
  );
  const { rows } = await db.executeQuery<{ id: string | null; locked_out: string | null }>(
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
      events.map(({ body }) => toStoredBody(body)),
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
      locking.map(({ executionId }) => executionId),
      locking.map(({ position }) => position),
      locking.map(({ runId }) => runId),
      locking.map(({ key }) => key ?? null),
      locking.map(({ waitMs }) => waitMs),
      leaving.map(({ executionId }) => executionId),
      leaving.map(({ position }) => position),
      keeping.map(({ executionId }) => executionId),
      keeping.map(({ position }) => position),
      keeping.map(({ keepsLockMs }) => keepsLockMs ?? 0),
      cooling.map(({ executionId }) => executionId),
      cooling.map(({ key }) => key),
      cooling.map(({ action }) => action),
      cooling.map(({ forMs }) => forMs),
      locking.map(({ limit }) => limit?.action ?? null),
      locking.map(({ limit }) => limit?.max ?? null),
      locking.map(({ limit }) => (limit === undefined ? null : limitKeyOf(limit.action))),
      events.map(({ body }) => body.length),
    ]),
  );
  return {
    executions: new Set(rows.flatMap(({ id }) => id ?? [])),
    lockedOut: new Set(rows.flatMap((row) => row.locked_out ?? [])),
  };
}

// In the order of the keys, so that two calls never wait for one another.
const LOCK_LIMITS = `
select pg_advisory_xact_lock(number)
from (select distinct hashtextextended(name, 0) as number from unnest($1::text[]) as name order by number) as numbered`;

// What a run needs it gets whole: first it is clear who has a place among the runs of the action, which nobody else changes
// meanwhile, and of those, who gets the lock of its node.
// Locks are taken in the order of their keys, so that two statements never wait for one another; none that the same statement
// changes, which PostgreSQL would refuse: who asks for it asks again.
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
  select v.id, v.seq, v.node, v.kind, v.bytes, v.body
  from unnest($7::text[], $8::bigint[], $9::text[], $10::text[], $11::bytea[], $42::bigint[])
    as v (id, seq, node, kind, body, bytes)
  join updated on updated.id = v.id
), wanted as (
  select v.*, w.asked_ms,
    exists (
      select 1 from node_locks h
      where h.lock_key = v.lock_key and h.execution_id = v.id and h.position = v.position and h.until_ms = 0) as holds,
    exists (select 1 from action_places h where h.execution_id = v.id and h.position = v.position) as has_place
  from unnest($25::text[], $26::bigint[], $27::text[], $28::text[], $29::bigint[], $39::text[], $40::bigint[], $41::text[])
    as v (id, position, run_id, lock_key, wait_ms, action, places, limit_key)
  join updated on updated.id = v.id
  left join node_waiters w on w.execution_id = v.id and w.position = v.position
), keeping as (
  select l.lock_key, l.run_id, v.keeps_ms
  from unnest($32::text[], $33::bigint[], $34::bigint[]) as v (id, position, keeps_ms)
  join updated on updated.id = v.id
  join node_locks l on l.execution_id = v.id and l.position = v.position
), freed as (
  delete from action_places p where p.action in (select action from wanted) and ${IS_OVER(NOW_MS)}
), placed as (
  select v.* from wanted v where v.action is null or v.has_place
  union all
  select v.* from wanted v
  join (
    select n.id, n.position, row_number() over (partition by n.action order by n.asked_ms nulls last, n.run_id) as nth
    from wanted n
    where n.action is not null and not n.has_place and not exists (
      select 1 from node_waiters o
      where o.lock_key = n.limit_key and o.until_ms > ${NOW_MS} and not (o.execution_id = n.id and o.position = n.position)
        and (n.asked_ms is null or (o.asked_ms, o.run_id) < (n.asked_ms, n.run_id)))
  ) n on n.id = v.id and n.position = v.position
  where n.nth <= v.places - (select count(*) from action_places p where p.action = v.action and not ${IS_OVER(NOW_MS)})
), first as (
  select distinct on (v.lock_key) v.*
  from placed v
  where v.lock_key is not null and (v.holds or not exists (
      select 1 from node_waiters o
      where o.lock_key = v.lock_key and o.until_ms > ${NOW_MS} and not (o.execution_id = v.id and o.position = v.position)
        and (v.asked_ms is null or (o.asked_ms, o.run_id) < (v.asked_ms, v.run_id))))
    and v.lock_key not in (select lock_key from keeping)
  order by v.lock_key, v.holds desc, v.asked_ms nulls last, v.run_id
), locked as (
  insert into node_locks as l (lock_key, execution_id, position, run_id, since_ms, until_ms)
  select lock_key, id, position, run_id, ${NOW_MS}, 0 from first order by lock_key
  ${TAKES_OVER(NOW_MS)}
  returning l.run_id
), granted as (
  select v.* from placed v where v.lock_key is null or exists (select 1 from locked where locked.run_id = v.run_id)
), seated as (
  insert into action_places (execution_id, position, run_id, action, since_ms, until_ms)
  select id, position, run_id, action, ${NOW_MS}, 0 from granted where action is not null order by id, position
  on conflict (execution_id, position) do update set run_id = excluded.run_id
), locked_out as (
  select v.*, case when exists (select 1 from placed p where p.run_id = v.run_id) then v.lock_key else v.limit_key end as lacks
  from wanted v where not exists (select 1 from granted where granted.run_id = v.run_id)
), joined as (
  insert into node_waiters (execution_id, position, run_id, lock_key, asked_ms, until_ms)
  select id, position, run_id, lacks, ${NOW_MS}, ${NOW_MS} + wait_ms from locked_out where wait_ms > 0 order by id, position
  on conflict (execution_id, position) do update set lock_key = excluded.lock_key
), departed as (
  delete from node_waiters w using (
    select v.id, v.position from granted v
    union all
    select v.id, v.position from unnest($30::text[], $31::bigint[]) as v (id, position) join updated on updated.id = v.id
  ) v where w.execution_id = v.id and w.position = v.position
), kept as (
  update node_locks l set until_ms = ${NOW_MS} + v.keeps_ms
  from keeping v
  where l.lock_key = v.lock_key and l.run_id = v.run_id and l.until_ms = 0
), kept_places as (
  update action_places p set until_ms = ${NOW_MS} + v.keeps_ms
  from unnest($32::text[], $33::bigint[], $34::bigint[]) as v (id, position, keeps_ms)
  join updated on updated.id = v.id
  where p.execution_id = v.id and p.position = v.position and p.until_ms = 0
), cooled as (
  insert into node_cooldowns (lock_key, action, until_ms)
  select v.lock_key, v.action, ${NOW_MS} + max(v.for_ms)
  from unnest($35::text[], $36::text[], $37::text[], $38::bigint[]) as v (id, lock_key, action, for_ms)
  join updated on updated.id = v.id
  group by v.lock_key, v.action order by v.lock_key, v.action
  on conflict (lock_key, action) do update set until_ms = excluded.until_ms
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
    outcome_seq = coalesce(v.outcome_seq, r.outcome_seq),
    away_since_ms = 0
  from unnest($12::text[], $13::bigint[], $14::text[], $15::bigint[], $16::bigint[], $17::text[], $18::text[], $19::bigint[],
      $20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[], $24::bigint[])
    as v (id, position, run_id, attempt, state, mediator, lmm_instance_id, mediator_event, placed_ms, started_ms, ended_ms,
      log_bytes, outcome_seq)
  join updated on updated.id = v.id
  where r.execution_id = v.id and r.position = v.position
    and not exists (select 1 from locked_out o where o.id = v.id and o.position = v.position)
)
select id, null as locked_out from updated
union all
select null, run_id from locked_out`;
