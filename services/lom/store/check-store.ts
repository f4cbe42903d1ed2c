import { sql } from 'kysely';
import { ExecutionState, RunState } from '../../shared/gen/rune/v1/run.js';
import { damagedEvents } from './damaged-events.js';
import type { StoreSnapshot } from './read-store.js';

/** Faults of one kind that are named; of more there is only the word that there are more. */
const FAULTS_MAX = 100;

/** Something in a store that contradicts something else in it. */
export interface StoreFault {
  /** Empty for what concerns the whole store. */
  readonly executionId: string;
  readonly what: string;
}

/** What a look at everything has found. */
export interface StoreReport {
  readonly executions: number;
  readonly unfinished: number;
  readonly runs: number;
  readonly events: number;
  /** Bytes of the events. */
  readonly bytes: number;
  readonly faults: readonly StoreFault[];
}

const FIRST_FINAL_RUN_STATE = RunState.SUCCEEDED;
const FIRST_FINAL_STATE = ExecutionState.SUCCEEDED;

/** What must never be there, and the query that finds executions where it is. */
const FAULTS: readonly { readonly what: string; readonly query: string }[] = [
  {
    what: 'its events have a gap, or do not begin at 1 and end at its last_seq',
    query: `select e.id from executions e
      left join (select execution_id, count(*) as n, min(seq) as first, max(seq) as last from events group by execution_id) v
        on v.execution_id = e.id
      where v.n is null or v.first <> 1 or v.last <> v.n or v.last <> e.last_seq`,
  },
  {
    what: 'it has not as many runs as it says, or their positions have a gap',
    query: `select e.id from executions e
      left join (select execution_id, count(*) as n, min(position) as first, max(position) as last from runs group by execution_id) r
        on r.execution_id = e.id
      where coalesce(r.n, 0) <> e.runs or (r.n > 0 and (r.first <> 0 or r.last <> r.n - 1))`,
  },
  {
    what: 'its request is missing',
    query: `select e.id from executions e where not exists (select 1 from requests q where q.execution_id = e.id)`,
  },
  {
    what: 'its state is final and it has no end, or the other way round',
    query: `select id from executions where (state >= ${FIRST_FINAL_STATE}) <> (ended_ms > 0)`,
  },
  {
    what: 'it has ended and its last event does not say so',
    query: `select e.id from executions e join events v on v.execution_id = e.id and v.seq = e.last_seq
      where e.ended_ms > 0 and v.kind <> 'execution'`,
  },
  {
    what: 'it has ended and one of its runs has not',
    query: `select distinct e.id from executions e join runs r on r.execution_id = e.id
      where e.ended_ms > 0 and r.state < ${FIRST_FINAL_RUN_STATE}`,
  },
  {
    what: 'a run has ended without an outcome among the events',
    query: `select distinct r.execution_id as id from runs r
      left join events v on v.execution_id = r.execution_id and v.seq = r.outcome_seq
      where r.state >= ${FIRST_FINAL_RUN_STATE} and (v.kind is null or v.kind <> 'outcome' or v.node <> r.node)`,
  },
  {
    what: 'a run that has not ended has an outcome',
    query: `select distinct execution_id as id from runs where state < ${FIRST_FINAL_RUN_STATE} and outcome_seq > 0`,
  },
  {
    what: 'a run has more than one outcome',
    query: `select distinct execution_id as id from events where kind = 'outcome' group by execution_id, node having count(*) > 1`,
  },
  ...[
    ['node_locks', 'a lock'],
    ['action_places', 'a place among the runs of its action'],
  ].map(([table = '', words = '']) => ({
    what: `it has ${words}, and is not there to release it`,
    query: `select distinct l.execution_id as id from ${table} l
      where l.until_ms = 0
        and not exists (select 1 from runs r where r.execution_id = l.execution_id and r.position = l.position)`,
  })),
  {
    what: 'a run that has started or ended stands in a queue',
    query: `select distinct w.execution_id as id from node_waiters w
      left join runs r on r.execution_id = w.execution_id and r.position = w.position
      where r.state is null or r.state <> ${RunState.QUEUED}`,
  },
  ...['runs', 'events', 'requests'].map((table) => ({
    what: `there are ${table} of it, but no execution`,
    query: `select distinct t.execution_id as id from ${table} t
      where not exists (select 1 from executions e where e.id = t.execution_id)
        and not exists (select 1 from leftovers l where l.execution_id = t.execution_id)`,
  })),
];

const DAMAGED = 'an event is not what was stored';

/** Looks at everything in a store for what contradicts itself. */
export async function checkStore({ db, damage }: StoreSnapshot): Promise<StoreReport> {
  const faults: StoreFault[] = (await damage()).map((what) => ({ executionId: '', what }));
  for (const { what, query } of FAULTS) {
    const found = sql<{ id: string }>`${sql.raw(query)} order by 1 limit ${sql.lit(FAULTS_MAX + 1)}`;
    const { rows } = await found.execute(db);
    const ids = rows.map(({ id }) => id);
    faults.push(...toFaults(what, ids));
  }
  faults.push(...toFaults(DAMAGED, await damagedEvents(db, FAULTS_MAX + 1)));
  const { rows } = await sql<Omit<StoreReport, 'faults'>>`
    select
      (select count(*) from executions) as executions,
      (select count(*) from executions where ended_ms = 0) as unfinished,
      (select count(*) from runs) as runs,
      (select count(*) from events) as events,
      (select cast(coalesce(sum(bytes), 0) as bigint) from events) as bytes`.execute(db);
  const counts = rows[0] ?? { executions: 0, unfinished: 0, runs: 0, events: 0, bytes: 0 };
  return { ...counts, faults };
}

function toFaults(what: string, ids: readonly string[]): StoreFault[] {
  const faults = ids.slice(0, FAULTS_MAX).map((executionId) => ({ executionId, what }));
  if (ids.length <= FAULTS_MAX) return faults;
  return [...faults, { executionId: '', what: `so have more executions: ${what}` }];
}
