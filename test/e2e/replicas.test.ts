import assert from 'node:assert/strict';
import { join } from 'node:path';
import { createClient, type LomClient, RuneError } from '../../services/cli/client.js';
import { OnLocked, type ExecutionRun, type RunResponse } from '../../services/shared/gen/rune/v1/lom.js';
import { ExecutionState, RunState } from '../../services/shared/gen/rune/v1/run.js';
import { newId } from '../../services/shared/messages/ids.js';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { startBadLinks, type BadLinks } from '../support/bad-link.js';
import { eventually } from '../support/eventually.js';
import { appendedRuns, readStory, type ExecutionStory } from '../support/execution-story.js';
import { gate } from '../support/gate.js';
import { startLocalMediator } from '../support/local-mediator.js';
import { startPostgres, type TestPostgres } from '../support/postgres.js';
import { findProcesses } from '../support/processes.js';
import { startService, type ServiceProcess } from '../support/service-process.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';
import { makeTestBundle } from '../support/test-bundle.js';

const NODES = ['one', 'two'];
const REQUESTS = 20;
const TRIES_MAX = 50;
const RACING = 40;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const SHIFTED_CLOCK = join(packageRoot, 'dist', 'test', 'support', 'shifted-clock.js');
const SUBMITS = 200;

/** One of several LOM over one database. */
interface Replica {
  readonly lom: ServiceProcess;
  readonly client: LomClient;
}

/** A run that lasts about so long, as a number of lines in its log. */
interface Counting {
  readonly lines: number;
  readonly pauseMs: number;
}
const SHORT: Counting = { lines: 3, pauseMs: 0 };
const LONG: Counting = { lines: 60, pauseMs: 50 };
const AT_ONCE: Counting = { lines: 0, pauseMs: 0 };
const ENDLESS: Counting = { lines: 100_000, pauseMs: 50 };

describe('several orchestrators over one PostgreSQL', () => {
  let directory: TempDirectory;
  let postgres: TestPostgres;
  let store: string;
  let lmm: ServiceProcess;
  let appended: string;
  /** Between replicas and PostgreSQL, for those that are to lose it. */
  let relay: BadLinks;
  const replicas = new Map<string, Replica>();

  before(async () => {
    directory = await makeTempDirectory();
    postgres = await startPostgres();
    store = await postgres.createDatabase();
    relay = await startBadLinks({ route: () => ({ host: '127.0.0.1', port: postgres.port }) });
    const bundle = await makeTestBundle(directory.path, 'durable');
    appended = join(directory.path, 'appended');
    lmm = await startLocalMediator(directory, {
      nodes: NODES,
      bundle,
      lom: { lease: '2s', shutdown_grace: '0s', kill_grace: '1s' },
    });
  });
  after(async () => {
    for (const name of replicas.keys()) await kill(name);
    lmm.kill('SIGKILL');
    await lmm.exited;
    await relay.close();
    await postgres.stop();
    await directory.remove();
  });

  /** The replica of this name, which is started unless it lives. */
  const replica = async (
    name: string,
    url = store,
    env: Readonly<Record<string, string>> = {},
  ): Promise<Replica> => {
    const known = replicas.get(name);
    if (known !== undefined) return known;
    const lom = await startService('lom', join(directory.path, 'lom.yaml'), { LOM_STORE: url, ...env });
    const started = { lom, client: createClient({ address: lom.address }) };
    replicas.set(name, started);
    return started;
  };

  const end = async (name: string, signal: NodeJS.Signals): Promise<number | string> => {
    const known = replicas.get(name);
    if (known === undefined) return 'not running';
    replicas.delete(name);
    known.lom.kill(signal);
    const how = await known.lom.exited;
    known.client.close();
    return how;
  };
  const kill = (name: string): Promise<number | string> => end(name, 'SIGKILL');

  const submit = async ({ client }: Replica, counting: Counting, requestId = newId()): Promise<string> => {
    const { execution } = await client.submitExecution({
      action: 'append-run',
      targets: { nodes: NODES },
      params: { path: appended, lines: counting.lines, pause_ms: counting.pauseMs },
      requestId,
    });
    assert.ok(execution !== undefined);
    return execution.executionId;
  };

  /** One run that must not meet another one on its node. */
  const submitGuarded = async (
    { client }: Replica,
    path: string,
    counting: Counting,
    fields: Parameters<LomClient['submitExecution']>[0] = {},
  ): Promise<string> => {
    const { execution } = await client.submitExecution({
      action: 'append-run',
      targets: { nodes: ['one'] },
      params: { path, guard: `${path}.guard`, lines: counting.lines, pause_ms: counting.pauseMs },
      ...fields,
    });
    assert.ok(execution !== undefined);
    return execution.executionId;
  };

  const runOf = async ({ client }: Replica, executionId: string): Promise<ExecutionRun> => {
    const [run] = (await client.getExecution({ executionId, outcomes: true })).runs;
    return run ?? assert.fail('the execution has no run');
  };

  /** Watches to the end; `seen` hears each event. */
  const watch = async (
    { client }: Replica,
    executionId: string,
    seen: (event: RunResponse) => void = () => undefined,
    fromSeq = 1,
  ): Promise<RunResponse[]> => {
    const events: RunResponse[] = [];
    for await (const event of client.watchExecution({ executionId, fromSeq })) {
      events.push(event);
      seen(event);
    }
    return events;
  };

  /** Watches to the end, and resolves `running` when every run has said something. */
  const follow = (
    from: Replica,
    executionId: string,
  ): {
    readonly events: Promise<RunResponse[]>;
    readonly running: Promise<unknown>;
    readonly runIds: ReadonlySet<string>;
  } => {
    const runIds = new Set<string>();
    const running = gate();
    const events = watch(from, executionId, ({ runId, event }) => {
      if (event?.$case === 'log') runIds.add(runId);
      if (runIds.size === NODES.length) running.open();
    });
    return { events, running: Promise.race([running.opened, events]), runIds };
  };

  /** All that must be true of an execution that nothing but its orchestrators disturbed. */
  const checkSuccess = async (
    events: readonly RunResponse[],
    { lines }: Counting,
  ): Promise<ExecutionStory> => {
    const story = readStory(events, NODES.length);
    const counts = await appendedRuns(appended);
    for (const [runId, outcome] of story.outcomes) {
      assert.equal(outcome.state, RunState.SUCCEEDED, outcome.error?.errorData?.message);
      assert.equal(counts.get(runId), 1, 'the plugin ran twice');
      assert.deepEqual(
        story.logs.get(runId),
        Array.from({ length: lines }, (_line, index) => `line ${index + 1}`),
      );
    }
    assert.equal(story.state, ExecutionState.SUCCEEDED);
    return story;
  };

  const takenOver = ({ lom }: Replica, executionId: string): Promise<unknown> =>
    eventually(
      () => lom.log.some((line) => line.includes('execution taken over') && line.includes(executionId)),
      { label: 'the takeover' },
    );

  it('show an execution and cancel it, whichever of them performs it', async () => {
    const [one, other] = [await replica('a'), await replica('b')];
    const executionId = await submit(one, ENDLESS);
    const own = follow(one, executionId);
    const elsewhere = follow(other, executionId);
    await Promise.all([own.running, elsewhere.running]);
    await other.client.cancelExecution({ executionId, reason: 'enough' });
    const events = await elsewhere.events;
    const { state, outcomes } = readStory(events, NODES.length);
    assert.equal(state, ExecutionState.CANCELLED);
    for (const outcome of outcomes.values()) {
      assert.equal(outcome.state, RunState.CANCELLED);
      assert.equal(outcome.cancelConfirmed, true);
    }
    for (const runId of outcomes.keys()) assert.deepEqual(findProcesses(runId), []);
    const facts = (all: readonly RunResponse[]): unknown =>
      all.map((event) => ({ ...event, header: undefined }));
    assert.deepEqual(facts(await own.events), facts(events));
  });

  it('make one execution of a request that comes to two of them at once', async () => {
    const both = [await replica('a'), await replica('b')];
    const made = new Set<string>();
    for (let count = 0; count < REQUESTS; count += 1) {
      const requestId = newId();
      const ids = await Promise.all([...both, ...both].map((each) => submit(each, SHORT, requestId)));
      assert.equal(new Set(ids).size, 1, ids.join());
      made.add(ids[0] ?? '');
    }
    assert.equal(made.size, REQUESTS);
    for (const executionId of made) await checkSuccess(await watch(both[0] as Replica, executionId), SHORT);
  });

  for (const [what, ends] of [
    [
      'is taken back',
      'select pg_terminate_backend(pid) from pg_stat_activity where wait_event = $$PgSleep$$',
    ],
    ['takes place all the same', 'select 1'],
  ] as const) {
    it(`make one execution of ${SUBMITS} requests at once where the first is killed before its commit, which ${what}`, async () => {
      const [one, other] = [await replica('a'), await replica('b')];
      const sql = (text: string): Promise<Record<string, unknown>[]> => postgres.query(store, text);
      const requestId = newId();
      // Whoever has inserted an execution waits at the gate before it commits.
      await sql(`
        create table gate (opened bigint);
        create function wait_at_gate() returns trigger language plpgsql as $$
          begin
            while not exists (select from gate) loop perform pg_sleep(0.01); end loop;
            return new;
          end $$;
        create trigger gate after insert on executions for each row execute function wait_at_gate()`);
      const isThere = (waiting: string): Promise<unknown> =>
        eventually(async () => (await sql(`select from pg_stat_activity where ${waiting}`)).length > 0, {
          label: waiting,
        });
      const submits = (replicaOf: Replica): Promise<string | RuneError>[] =>
        Array.from({ length: SUBMITS / 2 }, () =>
          submit(replicaOf, SHORT, requestId).catch((thrown: unknown) => RuneError.from(thrown)),
        );
      try {
        const first = submits(one);
        await isThere(`wait_event = 'PgSleep'`);
        const second = submits(other);
        await isThere(`wait_event = 'transactionid' and query like '%executions%'`);
        await kill('a');
        await sql(ends);
        await sql('insert into gate values (1)');
        const ids = new Set(await Promise.all(second));
        assert.equal(ids.size, 1, [...ids].join());
        const [executionId = ''] = ids;
        assert.ok(typeof executionId === 'string', String(executionId));
        for (const answer of await Promise.all(first)) assert.ok(answer instanceof RuneError);
        const found = await sql(`select id from executions where request_id = '${requestId}'`);
        assert.deepEqual(found, [{ id: executionId }]);
        await checkSuccess(await watch(other, executionId), SHORT);
      } finally {
        await sql('drop trigger gate on executions; drop function wait_at_gate; drop table gate');
      }
    });
  }

  it('show the same events to watchers who come at every moment, on either of them', async () => {
    const both = [await replica('a'), await replica('b')] as const;
    const executionId = await submit(both[0], SHORT);
    const late: Promise<RunResponse[]>[] = [];
    const all = await watch(both[0], executionId, ({ seq }) => {
      for (const each of both) {
        late.push(watch(each, executionId));
        late.push(watch(each, executionId, undefined, seq));
      }
    });
    const facts = (events: readonly RunResponse[]): unknown =>
      events.map((event) => ({ ...event, header: undefined }));
    for (const events of await Promise.all(late))
      assert.deepEqual(facts(events), facts(all.slice((events[0]?.seq ?? 0) - 1)));
    assert.equal(late.length, 4 * all.length);
    await checkSuccess(all, SHORT);
  });

  it('do not mind that the clock of one is a day ahead and is set two days back while it works', async () => {
    const other = await replica('b');
    const one = await replica('d', store, {
      NODE_OPTIONS: `--import=${SHIFTED_CLOCK}`,
      CLOCK_SHIFT_MS: String(DAY_MS),
      CLOCK_JUMP_MS: String(-2 * DAY_MS),
    });
    const executionId = await submit(one, LONG);
    const { events, running } = follow(other, executionId);
    await running;
    one.lom.kill('SIGUSR2');
    await eventually(() => one.lom.log.some((line) => line.includes('the clock was set')), {
      label: 'the jump',
    });
    await checkSuccess(await events, LONG);
    await checkSuccess(await watch(one, executionId), LONG);
    for (const { lom } of [one, other])
      assert.ok(!lom.log.some((line) => line.includes('taken over') && line.includes(executionId)));
    await kill('d');
  });

  it('go on with what one of them was killed over, and nothing is lost or done twice', async () => {
    const [one, other] = [await replica('a'), await replica('b')];
    const executionId = await submit(one, LONG);
    const { events, running } = follow(other, executionId);
    await running;
    await kill('a');
    await checkSuccess(await events, LONG);
    await takenOver(other, executionId);
  });

  it('hand over at once what one of them leaves in an orderly stop', async () => {
    const [one, other] = [await replica('a'), await replica('b')];
    const executionId = await submit(one, LONG);
    const [execution] = await postgres.query(
      store,
      `select owner from executions where id = '${executionId}'`,
    );
    const { events, running } = follow(other, executionId);
    await running;
    assert.equal(await end('a', 'SIGTERM'), 0);
    const leases = await postgres.query(store, 'select owner from replicas where until_ms > 0');
    assert.ok(!leases.some(({ owner }) => owner === execution?.['owner']), 'its lease goes on');
    await checkSuccess(await events, LONG);
  });

  it('take over from one that stands still, which then does nothing twice and goes on to show it', async () => {
    const [one, other] = [await replica('a'), await replica('b')];
    const executionId = await submit(one, LONG);
    const own = follow(one, executionId);
    await own.running;
    one.lom.kill('SIGSTOP');
    await takenOver(other, executionId);
    one.lom.kill('SIGCONT');
    await checkSuccess(await watch(other, executionId), LONG);
    await checkSuccess(await own.events, LONG);
  });

  it('give back to one that stood still what the next one left too, and it hears a cancel', async () => {
    const [one, other] = [await replica('a'), await replica('b')];
    const executionId = await submit(one, ENDLESS);
    const own = follow(one, executionId);
    await own.running;
    one.lom.kill('SIGSTOP');
    await takenOver(other, executionId);
    await kill('b');
    one.lom.kill('SIGCONT');
    await takenOver(one, executionId);
    await one.client.cancelExecution({ executionId, reason: 'enough' });
    const { state, outcomes } = readStory(await own.events, NODES.length);
    assert.equal(state, ExecutionState.CANCELLED);
    const counts = await appendedRuns(appended);
    for (const runId of outcomes.keys()) assert.equal(counts.get(runId), 1);
  });

  it('let many mutating runs on a node one after the other, also where the clock of one is wrong by an hour', async () => {
    const path = join(directory.path, 'racing');
    const shift = { CLOCK_SHIFT_MS: String(HOUR_MS), NODE_OPTIONS: `--import=${SHIFTED_CLOCK}` };
    const all = [await replica('a'), await replica('b'), await replica('early', store, shift)];
    const ids = await Promise.all(
      Array.from({ length: RACING }, (_, index) =>
        submitGuarded(all[index % all.length] as Replica, path, AT_ONCE),
      ),
    );
    const [first] = all as [Replica];
    for (const executionId of ids) {
      const events = await watch(first, executionId);
      assert.equal(readStory(events, 1).state, ExecutionState.SUCCEEDED);
    }
    const counts = await appendedRuns(path);
    assert.equal(counts.get('overlap'), undefined, 'two runs met on the node');
    assert.equal(counts.size, RACING);
    assert.deepEqual(new Set(counts.values()), new Set([1]));
    const { lock } = await first.client.getNode({ name: 'one' });
    assert.deepEqual(lock, { holder: undefined, waiting: 0 });
    await kill('early');
  });

  it('keep the order of those who wait for a node when the one that has it and some of them lose their replica', async () => {
    const path = join(directory.path, 'in-order');
    const [one, other] = [await replica('a'), await replica('b')];
    const holder = await submitGuarded(one, path, LONG);
    await eventually(async () => (await runOf(other, holder)).state === RunState.RUNNING, {
      label: 'a holder',
    });
    const waiting: string[] = [];
    for (let place = 1; place <= 4; place += 1) {
      const executionId = await submitGuarded(place % 2 === 1 ? one : other, path, AT_ONCE);
      waiting.push(executionId);
      const wait = await eventually(async () => (await runOf(other, executionId)).waiting ?? false, {
        label: 'a place in the queue',
      });
      assert.equal(wait.place, place);
      assert.equal(wait.holder?.executionId, holder);
    }
    const { lock } = await other.client.getNode({ name: 'one' });
    assert.deepEqual(
      [lock?.holder?.executionId, lock?.holder?.action, lock?.waiting],
      [holder, 'append-run', 4],
    );
    await kill('a');
    const runIds: string[] = [];
    for (const executionId of [holder, ...waiting]) {
      const events = await watch(other, executionId);
      assert.equal(readStory(events, 1).state, ExecutionState.SUCCEEDED);
      runIds.push((await runOf(other, executionId)).runId);
    }
    assert.deepEqual([...(await appendedRuns(path)).keys()], runIds);
  });

  it('refuse a locked node, or give up after a time, naming who has it, whichever of them performs that', async () => {
    const path = join(directory.path, 'refused');
    const [one, other] = [await replica('a'), await replica('b')];
    const holder = await submitGuarded(one, path, ENDLESS);
    await eventually(async () => (await runOf(other, holder)).state === RunState.RUNNING, {
      label: 'a holder',
    });
    for (const fields of [{ onLocked: OnLocked.REFUSE }, { queueTimeout: { seconds: 1, nanos: 0 } }]) {
      const executionId = await submitGuarded(other, path, AT_ONCE, fields);
      const { outcomes } = readStory(await watch(one, executionId), 1);
      const [outcome] = outcomes.values();
      assert.equal(outcome?.error?.errorData?.name, 'NODE_LOCKED');
      assert.ok(outcome.error.errorData.message.includes(holder), outcome.error.errorData.message);
    }
    await one.client.cancelExecution({ executionId: holder, reason: 'enough' });
    await watch(one, holder);
    assert.equal((await appendedRuns(path)).size, 1);
  });

  it('record an outcome for which the database was away, once it is back', async () => {
    const [one, other] = [await replica('a'), await replica('b')];
    const executionId = await submit(one, LONG);
    const { events, running, runIds } = follow(one, executionId);
    const broken = events.then(
      () => undefined,
      (error: unknown) => RuneError.from(error),
    );
    await running;
    await postgres.halt('immediate');
    for (const runId of runIds)
      await eventually(() => findProcesses(runId).length === 0, { label: 'the end of the plugins' });
    await postgres.start();
    assert.equal((await broken)?.name ?? 'STORE_UNAVAILABLE', 'STORE_UNAVAILABLE');
    const told = await eventually(() => watch(other, executionId), { label: 'the story of the execution' });
    await checkSuccess(told, LONG);
  });

  it('perform an execution whose caller was told that the database was away when it was made', async () => {
    const url = new URL(store);
    url.port = String(relay.port);
    const one = await replica('c', url.href);
    let requestId = '';
    for (let tries = 0; ; tries += 1) {
      assert.ok(tries < TRIES_MAX, 'no submit was hit');
      requestId = newId();
      // The next answer on each connection is lost, and the connection with it.
      for (const link of relay.links()) link.after(1, 'caller', () => link.destroy());
      const error = await submit(one, SHORT, requestId).then(
        () => undefined,
        (thrown: unknown) => RuneError.from(thrown),
      );
      if (error === undefined) continue;
      assert.equal(error.name, 'STORE_UNAVAILABLE');
      const query = `select id from executions where request_id = '${requestId}'`;
      if ((await postgres.query(store, query)).length === 1) break;
    }
    const executionId = await eventually(() => submit(one, SHORT, requestId), { label: 'the execution' });
    await checkSuccess(await watch(one, executionId), SHORT);
  });
});
