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
  executionIds: readonly string[],
): Promise<ReadonlyMap<string, ReadonlyMap<RunState, number>>> {
  const counts = new Map(executionIds.map((id) => [id, new Map<RunState, number>()]));
  if (executionIds.length === 0) return counts;
  const rows = await db
    .selectFrom('runs')
    .select((eb) => ['execution_id as id', 'state', eb.fn.countAll<number>().as('count')])
    .where('execution_id', 'in', executionIds)
    .groupBy(['execution_id', 'state'])
    .orderBy('execution_id')
    .orderBy('state')
    .execute();
  for (const { id, state, count } of rows) counts.get(id)?.set(state, count);
  return counts;
}
