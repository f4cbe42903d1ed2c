import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import { RuneError } from '../../shared/errors.js';
import { migrations } from './migrations.js';
import type { ColumnTypes } from './migrations.js';
import type { StoreTables } from './store-tables.js';

const SERVER_KEY_BYTES = 32;

/** What bringing a database up to date needs to know of it. */
export interface Migration {
  readonly db: Kysely<StoreTables>;
  readonly types: ColumnTypes;
  /** Names the database in a message. */
  readonly shown: string;
  /** Whether the table meta is there. */
  hasMeta(db: Kysely<StoreTables>): Promise<boolean>;
  /** Makes every other process that migrates wait until the transaction is over. */
  lock(transaction: Kysely<StoreTables>): Promise<void>;
}

/**
 * Brings the schema up to the version of this program, in one transaction under a lock, and resolves with the server key. Throws
 * CONFIGURATION_INVALID when the store has a newer schema.
 */
export async function migrate(migration: Migration): Promise<Buffer> {
  const steps = migrations(migration.types);
  // Looked at first without a lock: a role that may not change tables can use a store that is up to date.
  if ((await versionOf(migration, migration.db)) !== steps.length) {
    await migration.db.transaction().execute(async (transaction) => {
      await migration.lock(transaction);
      const version = await versionOf(migration, transaction);
      if (version === 0) await createMeta(transaction, migration.types);
      for (const statement of steps.slice(version).flat()) await sql.raw(statement).execute(transaction);
      await transaction
        .updateTable('meta')
        .set({ value: String(steps.length) })
        .where('name', '=', 'schema_version')
        .execute();
    });
  }
  return Buffer.from(await readMeta(migration.db, 'server_key'), 'hex');
}

/** Refuses a store that this program does not know: one with a newer schema, or, to be read only, with an older one. */
export async function requireCurrentSchema(migration: Migration): Promise<void> {
  const version = await versionOf(migration, migration.db);
  if (version === migrations(migration.types).length) return;
  throw new RuneError(
    'CONFIGURATION_INVALID',
    `The store ${migration.shown} has the schema version ${version}: start rune-lom of this release once to bring it up to date.`,
    { field: 'store' },
  );
}

/** 0 for an empty database. */
async function versionOf(migration: Migration, db: Kysely<StoreTables>): Promise<number> {
  if (!(await migration.hasMeta(db))) return 0;
  const version = Number(await readMeta(db, 'schema_version'));
  const known = migrations(migration.types).length;
  if (Number.isInteger(version) && version >= 0 && version <= known) return version;
  throw new RuneError(
    'CONFIGURATION_INVALID',
    `The store ${migration.shown} has the schema version ${version}, and this release knows up to ${known}: use the release that made it, or a newer one.`,
    { field: 'store' },
  );
}

async function createMeta(db: Kysely<StoreTables>, { text, options }: ColumnTypes): Promise<void> {
  const columns = `name ${text} not null primary key, value ${text} not null`;
  await sql.raw(`create table meta (${columns}) ${options}`).execute(db);
  await db
    .insertInto('meta')
    .values([
      { name: 'schema_version', value: '0' },
      { name: 'server_key', value: randomBytes(SERVER_KEY_BYTES).toString('hex') },
    ])
    .execute();
}

async function readMeta(db: Kysely<StoreTables>, name: string): Promise<string> {
  const row = await db.selectFrom('meta').select('value').where('name', '=', name).executeTakeFirst();
  return row?.value ?? '';
}
