import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { StoreTables } from './store-tables.js';
import type { EventRange, EventRecord } from './store.js';
import { fromStoredBody } from './stored-body.js';

/** Rows that one query looks at; a range with more is read by several. Few at first: of large events, a page holds no more. */
const ROWS_MIN = 16;
const ROWS_MAX = 1_000;
const ROWS_GROWTH = 8;

/** Store.events. */
export async function readEvents(
  db: Kysely<StoreTables>,
  executionId: string,
  range: EventRange,
): Promise<EventRecord[]> {
  const events: EventRecord[] = [];
  let bytes = 0;
  let { fromSeq } = range;
  for (let rowsMax = ROWS_MIN; ; rowsMax = Math.min(rowsMax * ROWS_GROWTH, ROWS_MAX)) {
    const left = { ...range, fromSeq, bytesMax: range.bytesMax - bytes };
    const rows = await readPage(db, executionId, left, rowsMax);
    events.push(...rows);
    bytes = rows.reduce((sum, { body }) => sum + body.length, bytes);
    const last = rows.at(-1);
    if (last === undefined || rows.length < rowsMax || bytes >= range.bytesMax) return events;
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

/** The sizes are read first, over the index columns alone, so that no body is read which is not wanted. */
async function readPage(
  db: Kysely<StoreTables>,
  executionId: string,
  { fromSeq, bytesMax, nodes, kinds }: EventRange,
  rowsMax: number,
): Promise<EventRecord[]> {
  let wanted = db.selectFrom('events').where('execution_id', '=', executionId).where('seq', '>=', fromSeq);
  if (nodes !== undefined) wanted = wanted.where('node', 'in', ['', ...nodes]);
  if (kinds !== undefined) wanted = wanted.where('kind', 'in', kinds.length > 0 ? kinds : [NO_KIND]);
  const sizes = await wanted.select(['seq', 'bytes']).orderBy('seq').limit(rowsMax).execute();
  let bytes = 0;
  const end = sizes.findIndex((row, index) => (bytes += row.bytes) >= bytesMax || index === sizes.length - 1);
  const last = sizes[end];
  if (last === undefined) return [];
  const page = wanted.where('seq', '<=', last.seq).select(['seq', 'node', 'kind', 'bytes', 'body']);
  const rows = await page.orderBy('seq').execute();
  // What a broken disk made of a body is passed on: the one who decodes it will say so.
  return rows.map(({ bytes: size, body, ...row }) => ({ ...row, body: fromStoredBody(body, size) ?? body }));
}

const NO_KIND = '' as never;
