import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DatabaseSync } from '@photostructure/sqlite';
import { checkStore } from '../../../services/lom/store/check-store.js';
import { openStore } from '../../../services/lom/store/open-store.js';
import { readStore } from '../../../services/lom/store/read-store.js';
import type { Store } from '../../../services/lom/store/store.js';
import { newId } from '../../../services/shared/messages/ids.js';
import { eventually } from '../../support/eventually.js';
import { recordingLogger } from '../../support/recording-logger.js';
import { makeTempDirectory, type TempDirectory } from '../../support/temp-directory.js';
import { storeContract } from './contract.js';
import { allEvents, create, event } from './new-execution.js';
import { startStoreProcess } from './store-process.js';

const SETTINGS = { storeConnectTimeoutMs: 5_000, storeStatementTimeoutMs: 10_000, storeConnectionsMax: 5 };
const { logger } = recordingLogger();

describe('a store in a SQLite file', () => {
  let directory: TempDirectory;
  before(async () => {
    directory = await makeTempDirectory();
  });
  after(() => directory.remove());

  const newPath = (): string => join(directory.path, `${newId()}.db`);
  const open = (path: string): Promise<Store> => openStore(path, SETTINGS, logger);
  /** Changes a closed store behind its back. */
  const alter = (path: string, statement: string): void => {
    const database = new DatabaseSync(path);
    database.exec(statement);
    database.close();
  };

  storeContract(() => open(newPath()));

  it('contradicts itself nowhere, and says where it was made to', async () => {
    const path = newPath();
    const store = await open(path);
    const [first, second, third] = [await create(store), await create(store), await create(store)];
    // Also while somebody writes.
    const look = () => readStore(path, SETTINGS, logger, checkStore);
    assert.deepEqual((await look()).faults, []);
    await store.close();
    assert.equal((await look()).executions, 3);
    alter(
      path,
      `delete from events where execution_id = '${first}'; update runs set state = 3 where execution_id = '${second}';
       delete from executions where id = '${third}'; update executions set runs = 2 where id = '${first}'`,
    );
    const named = new Set((await look()).faults.map(({ executionId }) => executionId));
    assert.deepEqual(named, new Set([first, second, third]));
  });

  it('says of which executions an event is not what was stored', async () => {
    const path = newPath();
    const store = await open(path);
    const ids = [await create(store), await create(store), await create(store), await create(store)];
    const body = Buffer.from('a line of log that is much like the one before it\n'.repeat(2_000));
    for (const executionId of ids) {
      const events = [{ ...event(2, 'web01', 'log'), body }];
      await store.commit([{ executionId, epoch: 1, events, runs: [] }]);
    }
    await store.close();
    const look = () => readStore(path, SETTINGS, logger, checkStore);
    assert.deepEqual((await look()).faults, []);
    assert.ok((await stat(path)).size < body.length * ids.length);
    const [cut, longer, changed] = ids;
    alter(
      path,
      `update events set body = substr(body, 1, 10) where execution_id = '${cut}' and seq = 2;
       update events set body = x'00' where execution_id = '${longer}' and seq = 1;
       update events set bytes = bytes + 1 where execution_id = '${changed}' and seq = 2`,
    );
    const what = 'an event is not what was stored';
    assert.deepEqual(
      (await look()).faults,
      [cut, longer, changed].map((executionId) => ({ executionId, what })),
    );
    // It is no reason to withhold the rest.
    const again = await open(path);
    assert.equal((await allEvents(again, cut ?? '')).length, 2);
    await again.close();
  });

  it('says which locks nobody can give back, and who waits for one without need', async () => {
    const path = newPath();
    const store = await open(path);
    const [gone, waiting] = [newId(), newId()];
    const one = await create(store, { runs: [{ runId: gone, node: 'a' }] });
    const other = await create(store, { runs: [{ runId: waiting, node: 'a' }] });
    for (const [executionId, runId] of [
      [one, gone],
      [other, waiting],
    ] as const) {
      const lock = { key: 'a', runId, waitMs: 60_000 };
      await store.commit([{ executionId, epoch: 1, events: [], runs: [{ position: 0, lock }] }]);
    }
    await store.close();
    const look = () => readStore(path, SETTINGS, logger, checkStore);
    assert.deepEqual((await look()).faults, []);
    alter(
      path,
      `update node_locks set position = 1; update runs set state = 2 where execution_id = '${other}'`,
    );
    assert.deepEqual((await look()).faults, [
      { executionId: one, what: 'it has a lock, and is not there to release it' },
      { executionId: other, what: 'a run that has started or ended stands in a queue' },
    ]);
  });

  it('goes on with a deletion that a crash interrupted', async () => {
    const path = newPath();
    const store = await open(path);
    const id = await create(store);
    await store.close();
    const left = `insert into leftovers select id, last_seq, runs from executions`;
    alter(path, `${left}; delete from executions; delete from requests`);
    const look = () => readStore(path, SETTINGS, logger, checkStore);
    assert.deepEqual([(await look()).faults, (await look()).events], [[], 1]);
    const again = await open(path);
    assert.equal(await again.deleteOld(60_000, 10, 10), 0);
    assert.deepEqual(await allEvents(again, id), []);
    await again.close();
    assert.deepEqual([(await look()).faults, (await look()).runs], [[], 0]);
  });

  it('keeps everything and its key when it is opened again, under either name', async () => {
    const path = newPath();
    const store = await open(path);
    const id = await create(store);
    await store.close();
    const again = await open(`sqlite:${path}`);
    assert.ok((await again.execution(id)) !== undefined);
    assert.deepEqual(again.serverKey, store.serverKey);
    await again.close();
  });

  it('is for its owner alone', async () => {
    const path = newPath();
    const store = await open(path);
    await create(store);
    for (const file of [path, `${path}-wal`, `${path}-lock`])
      assert.equal((await stat(file)).mode & 0o777, 0o600);
    await store.close();
  });

  it('refuses a second process, also by another name, and loses nothing when the first is killed', async () => {
    const path = newPath();
    const link = newPath();
    const writer = startStoreProcess(path);
    try {
      await eventually(() => writer.lines.length > 20, { label: 'acknowledged writes' });
      await symlink(path, link);
      for (const name of [path, link]) {
        await assert.rejects(open(name), (error: Error) => {
          assert.equal(error.name, 'CONFIGURATION_INVALID');
          assert.ok(error.message.includes(`The store ${path} is in use by another process`));
          return true;
        });
      }
    } finally {
      await writer.kill();
    }
    const store = await open(path);
    const [id = '', ...acknowledged] = writer.lines;
    const recorded = (await allEvents(store, id)).map(({ seq }) => seq);
    assert.deepEqual(recorded.slice(1, acknowledged.length + 1), acknowledged.map(Number));
    // The one that was under way may be there too.
    assert.ok(recorded.length - 1 <= acknowledged.length + 1);
    const [taken] = await store.takeOver(newId(), 10);
    assert.equal(taken?.id, id);
    await store.close();
    assert.deepEqual((await readStore(path, SETTINGS, logger, checkStore)).faults, []);
  });

  it('says so while there is no room for more, and goes on when there is', async () => {
    const path = newPath();
    // The limit of a process: its files may grow to 512 KiB. The signal would end it before SQLite can say so.
    const writer = startStoreProcess(path, "trap '' XFSZ; ulimit -S -f 512;");
    try {
      await eventually(() => writer.lines.at(-1) === 'STORE_UNAVAILABLE', { label: 'the end of the room' });
      await promisify(execFile)('prlimit', ['--pid', String(writer.pid), '--fsize=unlimited']);
      await eventually(() => writer.lines.at(-1) !== 'STORE_UNAVAILABLE', { label: 'the next write' });
    } finally {
      await writer.kill();
    }
    const [id = '', ...said] = writer.lines;
    const acknowledged = said.filter((line) => line !== 'STORE_UNAVAILABLE').map(Number);
    const store = await open(path);
    const recorded = (await allEvents(store, id)).map(({ seq }) => seq);
    assert.deepEqual(recorded.slice(1, acknowledged.length + 1), acknowledged);
    await store.close();
  });

  it('refuses a schema of a newer release', async () => {
    const path = newPath();
    await (await open(path)).close();
    alter(path, `update meta set value = '99' where name = 'schema_version'`);
    const refused = { name: 'CONFIGURATION_INVALID', message: /has the schema version 99, and this release/ };
    await assert.rejects(open(path), refused);
    await assert.rejects(readStore(path, SETTINGS, logger, checkStore), refused);
    // It was given back.
    await assert.rejects(open(path), refused);
  });

  it('refuses a directory that is not there, and a file that is something else', async () => {
    const missing = join(directory.path, 'no', 'such.db');
    await assert.rejects(open(missing), { name: 'CONFIGURATION_INVALID', message: /ENOENT/ });
    const text = newPath();
    await writeFile(text, 'not a database, but long enough to be taken for one. '.repeat(50));
    await assert.rejects(open(text), { name: 'STORE_UNAVAILABLE', message: /file is not a database/ });
    await assert.rejects(readStore(missing, SETTINGS, logger, checkStore), { name: 'CONFIGURATION_INVALID' });
  });
});
