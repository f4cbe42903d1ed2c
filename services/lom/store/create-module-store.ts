import type { Kysely } from 'kysely';
import { ModuleRegistration } from '../../shared/gen/rune/v1/mrs.js';
import { HeartbeatModuleRequest } from '../../shared/gen/rune/v1/registry.js';
import { nameOf, versionOf, type ModuleBeat, type ModuleRecord } from './module-record.js';
import type { ModuleStore, Superseded } from './module-store.js';
import type { StoreDatabase } from './store-database.js';
import { callStore } from './store-fault.js';
import type { StoreTables } from './store-tables.js';

/** The digest of a module without content, which a mediator is. */
const NO_CONTENT = '';

/** ModuleStore over a database. */
export function createModuleStore(database: StoreDatabase): ModuleStore {
  const { db, nowMs } = database;
  return {
    list: () =>
      callStore(async () => {
        const { now } = await db.selectNoFrom(nowMs.as('now')).executeTakeFirstOrThrow();
        const rows = await db.selectFrom('modules').selectAll().orderBy('registration_id').execute();
        return { nowMs: now, records: rows.map(toRecord) };
      }),

    content: (registrationId) =>
      callStore(async () => {
        const row = await db
          .selectFrom('module_contents')
          .select('body')
          .where('registration_id', '=', registrationId)
          .executeTakeFirst();
        return row?.body;
      }),

    add: (record, content, superseded) =>
      callStore(() =>
        db.transaction().execute(async (transaction) => {
          await endModules(transaction, superseded, record.registeredMs);
          const row = await transaction
            .insertInto('modules')
            .values(toRow(record))
            .onConflict((conflict) => conflict.doNothing())
            .returning('registration_id')
            .executeTakeFirst();
          if (row === undefined) {
            // What was to end must not, unless this is what an earlier call has written.
            if (await isRecorded(transaction, record.registrationId)) return true;
            throw new NotAdded();
          }
          if (content !== undefined) {
            const values = { registration_id: record.registrationId, body: content };
            await transaction.insertInto('module_contents').values(values).execute();
          }
          return true;
        }),
      ).catch((thrown: unknown) => {
        if (thrown instanceof NotAdded || (thrown instanceof Error && thrown.cause instanceof NotAdded))
          return false;
        throw thrown;
      }),

    change: ({ registrationId, registration, expiresMs, renews }) =>
      callStore(async () => {
        const { numUpdatedRows } = await db
          .updateTable('modules')
          .set({ registration: encoded(registration), expires_ms: expiresMs, renews: renews ? 1 : 0 })
          .where('registration_id', '=', registrationId)
          .where('ended_ms', '=', 0)
          .executeTakeFirst();
        return numUpdatedRows > 0n;
      }),

    beat: (beats) =>
      callStore(async () => {
        if (beats.length === 0) return;
        await db.transaction().execute(async (transaction) => {
          for (const { registrationId, heartbeatMs, expiresMs, beat } of beats) {
            await transaction
              .updateTable('modules')
              .set({ heartbeat_ms: heartbeatMs, expires_ms: expiresMs, beat: encodedBeat(beat) })
              .where('registration_id', '=', registrationId)
              .where('heartbeat_ms', '<=', heartbeatMs)
              .where('ended_ms', '=', 0)
              .execute();
          }
        });
      }),

    end: (registrationIds, reason) =>
      callStore(async () => {
        const { now } = await db.selectNoFrom(nowMs.as('now')).executeTakeFirstOrThrow();
        await endModules(db, { registrationIds, reason }, now);
      }),

    forget: (endedBeforeMs) =>
      callStore(async () => {
        const gone = await db
          .deleteFrom('modules')
          .where('ended_ms', '>', 0)
          .where('ended_ms', '<', endedBeforeMs)
          .returning('registration_id')
          .execute();
        if (gone.length === 0) return;
        const ids = gone.map(({ registration_id: id }) => id);
        await db.deleteFrom('module_contents').where('registration_id', 'in', ids).execute();
      }),

    forgetMediators: (endedBeforeMs) =>
      callStore(async () => {
        await db
          .deleteFrom('modules')
          .where('ended_ms', '>', 0)
          .where('ended_ms', '<', endedBeforeMs)
          .where('content_digest', '=', NO_CONTENT)
          .execute();
      }),
  };
}

/** Undoes a transaction whose registration is not wanted. */
class NotAdded extends Error {
  override readonly name = 'NotAdded';
}

async function isRecorded(db: Kysely<StoreTables>, registrationId: string): Promise<boolean> {
  const row = await db
    .selectFrom('modules')
    .select('registration_id')
    .where('registration_id', '=', registrationId)
    .executeTakeFirst();
  return row !== undefined;
}

async function endModules(
  db: Kysely<StoreTables>,
  { registrationIds, reason }: Superseded,
  endedMs: number,
): Promise<void> {
  if (registrationIds.length === 0) return;
  await db
    .updateTable('modules')
    .set({ ended_ms: endedMs, end_reason: reason })
    .where('registration_id', 'in', registrationIds)
    .where('ended_ms', '=', 0)
    .execute();
}

const encoded = (registration: ModuleRegistration): Buffer =>
  Buffer.from(ModuleRegistration.encode(registration).finish());

function encodedBeat({ health, ...beat }: ModuleBeat): Buffer {
  const message = HeartbeatModuleRequest.fromPartial({ ...beat, healthStatus: health });
  return Buffer.from(HeartbeatModuleRequest.encode(message).finish());
}

function toRow(record: ModuleRecord): StoreTables['modules'] {
  return {
    registration_id: record.registrationId,
    name: nameOf(record),
    version: versionOf(record),
    content_digest: record.contentDigest,
    registered_by: record.registeredBy,
    registration: encoded(record.registration),
    beat: encodedBeat(record.beat),
    renews: record.renews ? 1 : 0,
    registered_ms: record.registeredMs,
    heartbeat_ms: record.heartbeatMs,
    expires_ms: record.expiresMs,
    ended_ms: record.endedMs,
    end_reason: record.endReason,
  };
}

function toRecord(row: StoreTables['modules']): ModuleRecord {
  const { healthStatus, healthReason, load, lastActivity, draining } = HeartbeatModuleRequest.decode(
    row.beat,
  );
  return {
    registrationId: row.registration_id,
    registration: ModuleRegistration.decode(row.registration),
    contentDigest: row.content_digest,
    registeredBy: row.registered_by,
    beat: { health: healthStatus, healthReason, load, lastActivity, draining },
    registeredMs: row.registered_ms,
    heartbeatMs: row.heartbeat_ms,
    expiresMs: row.expires_ms,
    renews: row.renews === 1,
    endedMs: row.ended_ms,
    endReason: row.end_reason,
  };
}
