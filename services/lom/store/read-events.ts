import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { StoreTables } from './store-tables.js';
import type { EventRange, EventRecord } from './store.js';

/** Rows that one query looks at; a range with more is read by several. */
const ROWS_MAX = 1_000;

/** Store.events. */
export async function readEvents(
  db: Kysely<StoreTables>,
  executionId: string,
  range: EventRange,
): Promise<EventRecord[]> {
  const events: EventRecord[] = [];
  let bytes = 0;
  let { fromSeq } = range;
  for (;;) {
    const rows = await readPage(db, executionId, { ...range, fromSeq, bytesMax: range.bytesMax - bytes });
    events.push(...rows);
    bytes = rows.reduce((sum, { body }) => sum + body.length, bytes);
    const last = rows.at(-1);
    if (last === undefined || rows.length < ROWS_MAX || bytes >= range.bytesMax) return events;
    fromSeq = last.seq + 1;
  }
}

/** Store.outcomeBytes. */
export async function sumOutcomeBytes(db: Kysely<StoreTables>, executionId: string): Promise<number> {
  const { rows } = await sql<{ readonly bytes: number }>`
    select cast(coalesce(sum(bytes), 0) as bigint) as bytes from events
    where execution_id = ${executionId} and kind = 'outcome'`.execute(db);
  return rows[0]?.bytes ?? 0;
}

/** The sizes are summed over the index columns alone, so that no body is read which is not wanted. */
function readPage(
  db: Kysely<StoreTables>,
  executionId: string,
  { fromSeq, bytesMax, nodes, kinds }: EventRange,
): Promise<EventRecord[]> {
  return db
    .with('page', (page) => {
      let query = page
        .selectFrom('events')
        .select(['seq', 'bytes'])
        .where('execution_id', '=', executionId)
        .where('seq', '>=', fromSeq);
      if (nodes !== undefined) query = query.where('node', 'in', ['', ...nodes]);
      if (kinds !== undefined) query = query.where('kind', 'in', kinds.length > 0 ? kinds : [NO_KIND]);
      return query.orderBy('seq').limit(ROWS_MAX);
    })
    .with('summed', (summed) =>
      summed
        .selectFrom('page')
        .select(['seq', sql<number>`sum(bytes) over (order by seq) - bytes`.as('bytes_before')]),
    )
    .selectFrom('summed')
    .innerJoin('events', (join) =>
      join.onRef('events.seq', '=', 'summed.seq').on('events.execution_id', '=', executionId),
    )
    .select(['events.seq', 'events.node', 'events.kind', 'events.body'])
    .where((eb) => eb.or([eb('bytes_before', '<', bytesMax), eb('bytes_before', '=', 0)]))
    .orderBy('events.seq')
    .execute();
}

const NO_KIND = '' as never;
