import assert from 'node:assert/strict';
import { Client, Pool } from 'pg';
import { checkStore } from '../../../services/lom/store/check-store.js';
import { openStore } from '../../../services/lom/store/open-store.js';
import { postgresPool } from '../../../services/lom/store/postgres-pool.js';
import { readStore } from '../../../services/lom/store/read-store.js';
import type { Store } from '../../../services/lom/store/store.js';
import { RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { newId } from '../../../services/shared/messages/ids.js';
import { eventually } from '../../support/eventually.js';
import { startPostgres, type TestPostgres } from '../../support/postgres.js';
import { recordingLogger } from '../../support/recording-logger.js';
import { storeContract } from './contract.js';
import { allEvents, create, event, newExecution } from './new-execution.js';
import { startStoreProcess } from './store-process.js';

const SETTINGS = { storeConnectTimeoutMs: 5_000, storeStatementTimeoutMs: 10_000, storeConnectionsMax: 5 };
const PASSWORD = 'open-sesame';
const HOUR_MS = 3_600_000;

describe('a store in PostgreSQL', () => {
  let postgres: TestPostgres;
  /** One database that the tests share, each with executions of its own. */
  let url: string;
  before(async () => {
    postgres = await startPostgres();
    url = await postgres.createDatabase();
  });
  after(() => postgres.stop());

  const { logger, lines } = recordingLogger();
  const open = (location: string, settings = SETTINGS): Promise<Store> =>
    openStore(location, settings, logger);
  const query = (text: string): Promise<Record<string, unknown>[]> => postgres.query(url, text);
  /** Two replicas of a database, opened at the same instant. */
  const withTwo = async (use: (one: Store, other: Store) => Promise<void>, location = url): Promise<void> => {
    const [one, other] = await Promise.all([open(location), open(location)]);
    try {
      await use(one, other);
    } finally {
      await Promise.all([one.close(), other.close()]);
    }
  };

  storeContract(async () => open(await postgres.createDatabase()));

  it('is made once by replicas that begin at the same instant, with one key for all', async () => {
    for (let round = 0; round < 3; round += 1) {
      await withTwo(
        (one, other) => {
          assert.deepEqual(one.serverKey, other.serverKey);
          return Promise.resolve();
        },
        await postgres.createDatabase(),
      );
    }
  });

  it('makes one execution of 200 calls with one request id on two replicas', () =>
    withTwo(async (one, other) => {
      const requestId = newId();
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, index) =>
          (index % 2 === 0 ? one : other).createExecution(newExecution({ requestId }), HOUR_MS),
        ),
      );
      assert.equal(new Set(answers.map(({ execution }) => execution.id)).size, 1);
      assert.equal(answers.filter(({ existing }) => !existing).length, 1);
    }));

  it('gives the lock of a node to one of two replicas at a time, and to every run in the end', () =>
    withTwo(async (one, other) => {
      const keys = ['race:1', 'race:2', 'race:3'];
      const holders = new Map<string, string>();
      const compete = async (store: Store, index: number): Promise<void> => {
        const runId = newId();
        const executionId = await create(store, { runs: [{ runId, node: 'web01' }] });
        const key = keys[index % keys.length] ?? '';
        const change = { executionId, epoch: 1, events: [] };
        const lock = { key, runId, waitMs: HOUR_MS };
        await eventually(
          async () => !(await store.commit([{ ...change, runs: [{ position: 0, lock }] }])).has(runId),
          { label: 'the lock' },
        );
        assert.equal(holders.get(key), undefined, `${key} has two holders`);
        holders.set(key, runId);
        await new Promise(setImmediate);
        holders.delete(key);
        const refused = await store.commit([
          {
            ...change,
            events: [event(2, 'web01', 'outcome')],
            runs: [{ position: 0, state: RunState.SUCCEEDED, outcomeSeq: 2 }],
          },
        ]);
        assert.equal(refused.size, 0);
      };
      await Promise.all(
        Array.from({ length: 60 }, (_, index) => compete(index % 2 === 0 ? one : other, index)),
      );
      for (const key of keys) assert.deepEqual(await one.nodeLock(key), { holder: undefined, waiting: 0 });
    }));

  it('gives no more places among the runs of an action than there are on two replicas at a time', () =>
    withTwo(async (one, other) => {
      const limit = { action: 'race', max: 3 };
      let [running, most] = [0, 0];
      const compete = async (store: Store, index: number): Promise<void> => {
        const runId = newId();
        const executionId = await create(store, { runs: [{ runId, node: 'web01' }] });
        const change = { executionId, epoch: 1, events: [] };
        // Every other one needs a node as well.
        const lock = { key: index % 4 < 2 ? 'race:4' : undefined, limit, runId, waitMs: HOUR_MS };
        await eventually(
          async () => !(await store.commit([{ ...change, runs: [{ position: 0, lock }] }])).has(runId),
          { label: 'a place' },
        );
        running += 1;
        most = Math.max(most, running);
        await eventually(() => most > 1, { label: 'another one' });
        running -= 1;
        await store.commit([
          {
            ...change,
            events: [event(2, 'web01', 'outcome')],
            runs: [{ position: 0, state: RunState.SUCCEEDED, outcomeSeq: 2 }],
          },
        ]);
      };
      await Promise.all(
        Array.from({ length: 20 }, (_, index) => compete(index % 2 === 0 ? one : other, index)),
      );
      assert.ok(most <= limit.max, `${most} ran at one time`);
      assert.deepEqual(await one.actionUse('race'), { action: 'race', running: 0 });
    }));

  for (const [how, ends] of [
    ['is killed before it commits', false],
    ['commits after all', true],
  ] as const) {
    it(`waits for who was first with a request id, and ${ends ? 'gives its execution' : 'takes its place'} when that one ${how}`, async () => {
      const store = await open(url);
      const requestId = newId();
      const [firstId, id] = [newId(), newId()];
      const winner = new Client({ connectionString: url });
      // It is about to be terminated.
      winner.on('error', () => undefined);
      await winner.connect();
      try {
        await create(store, { id: firstId });
        await winner.query('begin');
        await winner.query(
          `update executions set request_id = '${requestId}', request_digest = 'digest' where id = '${firstId}'`,
        );
        const [{ pid } = {}] = (await winner.query<{ pid: number }>('select pg_backend_pid() as pid')).rows;
        const loser = store.createExecution(newExecution({ id, requestId }), HOUR_MS);
        await eventually(
          async () => {
            const rows = await query(
              `select 1 from pg_stat_activity where ${String(pid)} = any(pg_blocking_pids(pid))`,
            );
            return rows.length === 1;
          },
          { label: 'the loser to wait' },
        );
        if (ends) await winner.query('commit');
        else await query(`select pg_terminate_backend(${String(pid)})`);
        const { execution, existing } = await loser;
        assert.deepEqual([execution.id, existing], ends ? [firstId, true] : [id, false]);
      } finally {
        await winner.end();
        await store.close();
      }
    });
  }

  it('keeps what an owner has as long as its lease, by the clock of the database', () =>
    withTwo(async (one, other) => {
      const [owner, next] = [newId(), newId()];
      const id = await create(one, { owner });
      const takenIds = async (): Promise<string[]> =>
        (await other.takeOver(next, 1_000)).map((record) => record.id);
      assert.equal(await other.renewLease(next, HOUR_MS), true);
      assert.equal(await one.renewLease(owner, HOUR_MS), true);
      assert.equal(await one.renewLease(owner, HOUR_MS), true);
      assert.ok(!(await takenIds()).includes(id));
      assert.equal(await one.renewLease(owner, 0), true);
      // It was over at once.
      assert.equal(await one.renewLease(owner, HOUR_MS), false);
      assert.ok(!(await takenIds()).includes(id));
      await one.endLease(owner);
      assert.ok((await takenIds()).includes(id));
      assert.deepEqual(
        await one.commit([{ executionId: id, epoch: 1, events: [], runs: [] }]),
        new Set([id]),
      );
    }));

  it('gives each execution to one of two replicas that take over at once', () =>
    withTwo(async (one, other) => {
      const owner = newId();
      const wanted: string[] = [];
      for (let index = 0; index < 40; index += 1) wanted.push(await create(one, { owner }));
      const replicas = [
        { store: one, next: newId() },
        { store: other, next: newId() },
      ];
      for (const { store, next } of replicas) await store.renewLease(next, HOUR_MS);
      const taken: string[] = [];
      await eventually(
        async () => {
          const pages = await Promise.all(replicas.map(({ store, next }) => store.takeOver(next, 7)));
          taken.push(...pages.flat().map(({ id }) => id));
          return wanted.every((id) => taken.includes(id));
        },
        { label: 'all to be taken over' },
      );
      assert.equal(new Set(taken).size, taken.length);
    }));

  it('tells other replicas what changed, also after their connections were lost', () =>
    withTwo(async (one, other) => {
      const heard: string[] = [];
      const own: string[] = [];
      const isHeard = (id: string): boolean => heard.includes(id);
      other.onChange((id) => void heard.push(id));
      one.onChange((id) => void own.push(id));
      const id = await create(one);
      let seq = 1;
      const changeUntilHeard = (): Promise<boolean> =>
        eventually(
          async () => {
            seq += 1;
            const events = [event(seq, 'web01', 'log', 1)];
            await one.commit([{ executionId: id, epoch: 1, events, runs: [] }]);
            return isHeard(id);
          },
          { label: 'the change to be heard' },
        );
      await changeUntilHeard();
      heard.length = 0;
      await query(
        `select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%' or query = 'select 1'`,
      );
      await changeUntilHeard();
      // What it did itself it need not be told.
      assert.equal(own.length, 0);
      const asked = await create(other);
      // Its own connection was lost as well.
      await eventually(
        async () => {
          await other.askCancel(asked, '');
          return own.includes(asked);
        },
        { label: 'the cancel to be heard' },
      );
      assert.ok(isHeard(asked));
      // Far more than one notification holds.
      const many: string[] = [];
      for (let index = 0; index < 400; index += 1) many.push(await create(one));
      await one.commit(many.map((executionId) => ({ executionId, epoch: 1, events: [], runs: [] })));
      await eventually(() => many.every(isHeard), { label: 'all to be heard' });
    }));

  it('loses nothing acknowledged when a writer or the server is killed, and goes on by itself', async () => {
    const writers = [startStoreProcess(url), startStoreProcess(url)];
    const acknowledged = (index: number): number[] =>
      (writers[index]?.lines ?? [])
        .slice(1)
        .filter((line) => line !== 'STORE_UNAVAILABLE')
        .map(Number);
    try {
      await eventually(() => writers.every(({ lines }) => lines.length > 20), { label: 'writes' });
      await writers[0]?.kill();
      for (const how of ['fast', 'immediate'] as const) {
        await postgres.halt(how);
        await eventually(() => writers[1]?.lines.at(-1) === 'STORE_UNAVAILABLE', { label: 'a refusal' });
        await postgres.start();
        await eventually(() => writers[1]?.lines.at(-1) !== 'STORE_UNAVAILABLE', { label: 'the next write' });
      }
    } finally {
      await Promise.all(writers.map((writer) => writer.kill()));
    }
    const store = await open(url);
    for (const [index, { lines: said }] of writers.entries()) {
      const numbers = acknowledged(index);
      const recorded = (await allEvents(store, said[0] ?? '')).map(({ seq }) => seq);
      assert.deepEqual(recorded.slice(1, numbers.length + 1), numbers);
      assert.ok(recorded.length - 1 <= numbers.length + 1);
    }
    await store.close();
  });

  it('does not wait longer than it may for a server that stands still, and needs no restart after it', async () => {
    const store = await open(url, { ...SETTINGS, storeStatementTimeoutMs: 300, storeConnectionsMax: 1 });
    const id = await create(store);
    const blocker = new Client({ connectionString: url });
    await blocker.connect();
    try {
      // The server ends the statement, …
      await blocker.query('begin');
      await blocker.query('lock table executions in access exclusive mode');
      await assert.rejects(store.execution(id), { name: 'STORE_UNAVAILABLE', message: /statement timeout/ });
      await blocker.query('rollback');
      assert.equal((await store.execution(id))?.id, id);
      // … and where it cannot even do that, the connection is given up.
      const [{ pid } = {}] = await query(
        `select pid from pg_stat_activity where application_name = 'rune-lom' and pid <> pg_backend_pid()`,
      );
      process.kill(Number(pid), 'SIGSTOP');
      try {
        await assert.rejects(store.execution(id), { name: 'STORE_UNAVAILABLE', message: /timeout/ });
        assert.equal((await store.execution(id))?.id, id);
      } finally {
        process.kill(Number(pid), 'SIGCONT');
      }
    } finally {
      await blocker.end();
      await store.close();
    }
  });

  it('outlives a server that ends a connection just when it is given away', async () => {
    const pool = new Pool({ connectionString: url, max: 1 });
    const connections = postgresPool(pool);
    // Before whoever asked for the connection goes on, as when the server's last words come with its answer.
    pool.on('acquire', (client) =>
      process.nextTick(() => client.emit('error', new Error('terminating connection'))),
    );
    (await connections.connect()).release();
    (await connections.connect()).release();
    await connections.end();
  });

  it('refuses a schema of a newer release', async () => {
    const own = await postgres.createDatabase();
    await (await open(own)).close();
    await postgres.query(own, `update meta set value = '99' where name = 'schema_version'`);
    await assert.rejects(open(own), { name: 'CONFIGURATION_INVALID', message: /has the schema version 99/ });
  });

  it('says what is wrong with a database that it cannot use, and never the password', async () => {
    const missing = url.replace(/\/[^/]*$/, '/nothing');
    const admin = url.replace(/\/[^/]*$/, '/postgres');
    await postgres.query(admin, `create database latin encoding 'LATIN1' locale 'C' template template0`);
    await postgres.query(admin, `create role guest login`);
    const guest = (await postgres.createDatabase()).replace('//postgres:', '//guest:');
    const faults = [
      [guest, 'CONFIGURATION_INVALID', /permission denied for schema public/],
      [url.replace(/\/[^/]*$/, '/latin'), 'CONFIGURATION_INVALID', /has the encoding LATIN1/],
      [missing, 'CONFIGURATION_INVALID', /"nothing" does not exist/],
      [url.replace(String(postgres.port), '1'), 'STORE_UNAVAILABLE', /127\.0\.0\.1:1\/.*ECONNREFUSED/],
      [`postgres://user:${PASSWORD}@[::/x`, 'CONFIGURATION_INVALID', /no address of a PostgreSQL database/],
      [`mysql://user:${PASSWORD}@host/x`, 'CONFIGURATION_INVALID', /must be sqlite:FILE/],
    ] as const;
    for (const [location, name, message] of faults) {
      await assert.rejects(open(location), (error: Error) => {
        assert.equal(error.name, name);
        assert.match(error.message, message);
        lines.push({ message: error.message, stack: error.stack, cause: String(error.cause) });
        return true;
      });
    }
    assert.ok(lines.length > faults.length);
    assert.ok(!JSON.stringify(lines).includes(PASSWORD));
  });

  it('contradicts itself nowhere after all this', async () => {
    const report = await readStore(url, SETTINGS, logger, checkStore);
    assert.deepEqual(report.faults, []);
    assert.ok(report.executions > 400);
  });
});
