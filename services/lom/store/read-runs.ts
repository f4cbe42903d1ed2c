import type { Kysely } from 'kysely';
import type { RunState } from '../../shared/gen/rune/v1/run.js';
import type { StoreTables } from './store-tables.js';
import type { RunRecord, Store } from './store.js';

/** Store.runs. */
export async function readRuns(
  db: Kysely<StoreTables>,
  executionId: string,
  { after, limit, states }: Parameters<Store['runs']>[1],
): Promise<RunRecord[]> {
  if (states?.length === 0) return [];
  let query = db
    .selectFrom('runs')
    .select([
      'position',
      'run_id as runId',
      'node',
      'attempt',
      'state',
      'mediator',
      'lmm_instance_id as lmmInstanceId',
      'mediator_event as mediatorEvent',
      'placed_ms as placedMs',
      'started_ms as startedMs',
      'ended_ms as endedMs',
      'log_bytes as logBytes',
      'outcome_seq as outcomeSeq',
    ])
    .where('execution_id', '=', executionId)
    .where('position', '>', after);
  if (states !== undefined) query = query.where('state', 'in', states);
  return query.orderBy('position').limit(limit).execute();
}

/** Store.runCounts. */
export async function countRuns(
  db: Kysely<StoreTables>,
  executionId: string,
): Promise<ReadonlyMap<RunState, number>> {
  const rows = await db
    .selectFrom('runs')
    .select((eb) => ['state', eb.fn.countAll<number>().as('count')])
    .where('execution_id', '=', executionId)
    .groupBy('state')
    .orderBy('state')
    .execute();
  return new Map(rows.map(({ state, count }) => [state, count]));
}
