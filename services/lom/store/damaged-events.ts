import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { StoreTables } from './store-tables.js';
import { fromStoredBody } from './stored-body.js';

/** Rows that are read at once: a body has at most 1 MiB, by the limit of a result. */
const PAGE = 32;

/** Ids of at most so many executions with an event whose body is not what was stored. */
export async function damagedEvents(db: Kysely<StoreTables>, idsMax: number): Promise<string[]> {
  const damaged = new Set<string>();
  let after = { id: '', seq: 0 };
  while (damaged.size < idsMax) {
    const rows = await db
      .selectFrom('events')
      .where(sql<boolean>`(execution_id, seq) > (${after.id}, ${after.seq})`)
      .where(sql<boolean>`length(body) <> bytes`)
      .select(['execution_id as id', 'seq', 'bytes', 'body'])
      .orderBy('execution_id')
      .orderBy('seq')
      .limit(PAGE)
      .execute();
    for (const { id, bytes, body } of rows) if (fromStoredBody(body, bytes) === undefined) damaged.add(id);
    const last = rows.at(-1);
    if (last === undefined) break;
    after = last;
  }
  return [...damaged].slice(0, idsMax);
}
