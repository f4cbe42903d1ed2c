import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createClient, type LomClient } from '../../services/cli/client.js';
import type { RunResponse } from '../../services/shared/gen/rune/v1/lom.js';
import { ExecutionState, RunState } from '../../services/shared/gen/rune/v1/run.js';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { eventually } from '../support/eventually.js';
import { appendedRuns, readStory } from '../support/execution-story.js';
import { startLocalMediator } from '../support/local-mediator.js';
import { startService, type ServiceProcess } from '../support/service-process.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';
import { makeTestBundle } from '../support/test-bundle.js';

const CRASH_POINTS = pathToFileURL(join(packageRoot, 'dist', 'test', 'support', 'crash-points.js')).href;
const NODES = ['one', 'two'];
const LINES = 3;

/** Executions that are asked for at the same time. */
type Scene = readonly { readonly action: string; readonly nodes: readonly string[] }[];
/** One that has its nodes for itself. */
const ALONE: Scene = [{ action: 'append-run', nodes: NODES }];
/** One of which nothing is found out. */
const WARM_UP: Scene = [{ action: 'append-run', nodes: ['one'] }];
/** The second one waits for the place of the first one, and the third one for its node. */
const CROWDED: Scene = [
  { action: 'append-limited', nodes: ['one'] },
  { action: 'append-limited', nodes: ['two'] },
  { action: 'append-run', nodes: ['one'] },
];
/** Every so manyth point is tried; `CRASH_SWEEP=1` tries all of them, which takes minutes. */
const STRIDE = Number(process.env['CRASH_SWEEP'] ?? 19);
const CROWDED_STRIDE = STRIDE === 1 ? 1 : 2 * STRIDE + 1;
/** Far beyond what there is: a sweep that never ends is a fault too. */
const POINTS_MAX = 500;

const SWEEP_TIMEOUT_MS = 3_600_000;
/** The last thing that happens for an execution. */
const ACKNOWLEDGED = 'received the answer of AckRun';

/** A LOM that may be killed before it listens. */
type Life = { readonly lom: ServiceProcess; readonly client: LomClient } | undefined;

describe('an orchestrator that is killed', () => {
  let directory: TempDirectory;
  let lmm: ServiceProcess;
  let config: string;
  let appended: string;
  /** Executions that were seen to wait for others. */
  let waited = 0;
  const living = new Set<ServiceProcess>();

  before(async () => {
    directory = await makeTempDirectory();
    const bundle = await makeTestBundle(directory.path, 'durable');
    await cp(join(bundle, 'append-run'), join(bundle, 'append-limited'), { recursive: true });
    const edit = async (path: string, from: string, to: string): Promise<void> =>
      writeFile(join(bundle, path), (await readFile(join(bundle, path), 'utf8')).replace(from, to));
    await edit(
      'append-limited/manifest.yaml',
      'action: append-run',
      'action: append-limited\nmax_concurrent: 1',
    );
    await edit('bundle.yaml', 'append-run', 'append-run, append-limited');
    lmm = await startLocalMediator(directory, { nodes: NODES, bundle });
    living.add(lmm);
    config = join(directory.path, 'lom.yaml');
    appended = join(directory.path, 'appended');
  });
  after(async () => {
    for (const service of living) service.kill('SIGKILL');
    await Promise.all([...living].map(({ exited }) => exited));
    await directory.remove();
  });

  const pointsFile = (name: string): string => join(directory.path, `${name}.points`);
  const pointsOf = async (name: string): Promise<string[]> => {
    const text = await readFile(pointsFile(name), 'utf8').catch(() => '');
    return text.split('\n').slice(0, -1);
  };

  const start = async (name: string, killAt: number, killFrom?: string): Promise<Life> => {
    const lom = await startService('lom', config, {
      LOM_STORE: join(directory.path, `${name}.db`),
      NODE_OPTIONS: `--import=${CRASH_POINTS}`,
      CRASH_POINTS_FILE: pointsFile(name),
      ...(killAt === Infinity ? {} : { CRASH_AT: String(killAt) }),
      ...(killFrom === undefined ? {} : { CRASH_FROM: killFrom }),
    }).catch((error: unknown) => {
      // Killed while it started; anything else is not what was wanted.
      if (!String(error).includes('ended (SIGKILL)')) throw error;
      return undefined;
    });
    if (lom === undefined) return undefined;
    living.add(lom);
    return { lom, client: createClient({ address: lom.address }) };
  };

  const end = async (life: Life): Promise<number | string> => {
    if (life === undefined) return 'SIGKILL';
    life.client.close();
    const how = await life.lom.stop();
    living.delete(life.lom);
    return how;
  };

  /** Submits the executions of a scene one after the other; resolves with their ids. */
  const submit = async ({ client }: NonNullable<Life>, scene: Scene, name: string): Promise<string[]> => {
    const ids: string[] = [];
    for (const [index, { action, nodes }] of scene.entries()) {
      const { execution } = await client.submitExecution({
        action,
        targets: { nodes: [...nodes] },
        params: { path: appended, lines: LINES, pause_ms: 20 },
        requestId: `${name}/${index}/${nodes.join()}`,
      });
      assert.ok(execution !== undefined);
      ids.push(execution.executionId);
    }
    return ids;
  };

  const watch = async ({ client }: NonNullable<Life>, executionId: string): Promise<RunResponse[]> => {
    const events: RunResponse[] = [];
    for await (const event of client.watchExecution({ executionId })) events.push(event);
    return events;
  };

  /** Submits, watches to the end and waits until the mediator was told; resolves with the ids that were acknowledged. */
  const perform = async (life: Life, scene: Scene, name: string, pointsBefore = 0): Promise<string[]> => {
    if (life === undefined) return [];
    let ids: string[] = [];
    const work = async (): Promise<void> => {
      ids = await submit(life, scene, name);
      await Promise.all(ids.map((executionId) => watch(life, executionId)));
      await eventually(async () => (await pointsOf(name)).includes(ACKNOWLEDGED, pointsBefore), {
        label: 'the acknowledgement',
      });
    };
    await Promise.race([work(), life.lom.exited]).catch(async () => life.lom.exited);
    return ids;
  };

  /**
   * A LOM that has performed an execution: it knows its mediator, so that others are placed as they are recorded. The points from then
   * on count.
   */
  const startWarm = async (name: string, killAt: number): Promise<Life> => {
    const life = await start(name, killAt, ACKNOWLEDGED);
    await perform(life, WARM_UP, name);
    return life;
  };

  const checkTruth = async (
    life: NonNullable<Life>,
    scene: Scene,
    name: string,
    known: readonly string[],
  ): Promise<void> => {
    const ids = await submit(life, scene, name);
    if (known.length > 0) assert.deepEqual(ids, known, 'an acknowledged execution was forgotten');
    await Promise.all(ids.map((id, index) => checkExecution(life, id, scene[index]?.nodes.length ?? 0)));
  };

  const checkExecution = async (
    life: NonNullable<Life>,
    executionId: string,
    runs: number,
  ): Promise<void> => {
    const events = await watch(life, executionId);
    if (events.some(({ event }) => event?.$case === 'waiting')) waited += 1;
    const { state, outcomes, logs } = readStory(events, runs);
    const lines = await appendedRuns(appended);
    for (const [runId, outcome] of outcomes) {
      assert.equal(outcome.state, RunState.SUCCEEDED, outcome.error?.errorData?.message);
      assert.equal(lines.get(runId), 1);
      assert.deepEqual(logs.get(runId), ['line 1', 'line 2', 'line 3']);
    }
    assert.equal(state, ExecutionState.SUCCEEDED);
    const { execution } = await life.client.getExecution({ executionId });
    assert.equal(execution?.state, state);
  };

  /**
   * Kills a LOM at one point after the other, starts it again and checks that everything is true, until an execution ends before it
   * comes to the point. `before` is an earlier life on the same store that is killed too; without it, that of the kills is warm where
   * `isWarm` says so. Resolves with the number of kills.
   */
  const sweep = async (
    label: string,
    scene: Scene,
    stride: number,
    { before, isWarm = false }: { before?: { readonly killAt: number }; isWarm?: boolean } = {},
  ): Promise<number> => {
    for (let killed = 0, killAt = stride; ; killed += 1, killAt += stride) {
      assert.ok(killAt < POINTS_MAX);
      const name = `${label}-${killAt}`;
      let known: readonly string[] = [];
      if (before !== undefined) {
        const life = await start(name, before.killAt);
        known = await perform(life, scene, name);
        assert.equal(await end(life), 'SIGKILL');
      }
      let points = (await pointsOf(name)).length;
      const life = await (isWarm ? startWarm : start)(name, killAt);
      if (isWarm) points = (await pointsOf(name)).length;
      const told = await perform(life, scene, name, points);
      known = told.length > 0 ? told : known;
      if ((await end(life)) !== 'SIGKILL') return killed;
      const where = `${label}, killed at point ${killAt}, ${(await pointsOf(name)).at(-1)}`;
      const again = await start(name, Infinity);
      assert.ok(again !== undefined, where);
      await checkTruth(again, scene, name, known).catch((error: unknown) => {
        throw new Error(`${where}: ${String(error)}\n${again.lom.log.join('\n')}`, { cause: error });
      });
      assert.equal(await end(again), 0, where);
    }
  };

  /** An execution that nobody disturbs: the points that it passes. */
  const countPoints = async (scene: Scene, name: string, begin = start): Promise<string[]> => {
    const life = await begin(name, Infinity);
    assert.ok(life !== undefined);
    const points = (await pointsOf(name)).length;
    const ids = await perform(life, scene, name, points);
    assert.equal(await end(life), 0);
    assert.equal(ids.length, scene.length);
    return (await pointsOf(name)).slice(points);
  };

  const tell = (text: string, stride = STRIDE): void =>
    console.log(`      ${text}; tried is every ${stride}th`);

  it('at any point of an execution finishes it once it is started again, each plugin having run once', async function () {
    this.timeout(SWEEP_TIMEOUT_MS);
    const points = await countPoints(ALONE, 'undisturbed', startWarm);
    const kinds = new Set(points);
    assert.ok(kinds.has('before a commit') && kinds.has('after sending Mediate'), [...kinds].join());
    const beforeSent = points.slice(0, points.indexOf('before sending Mediate'));
    assert.deepEqual(beforeSent, ['before a commit', 'after a commit']);
    tell(`${points.length} crash points`);
    const killed = await sweep('first life', ALONE, STRIDE, { isWarm: true });
    assert.ok(killed >= Math.floor(points.length / STRIDE / 2), `only ${killed} were tried`);
  });

  it('and killed again at any point of going on finishes it too', async function () {
    this.timeout(SWEEP_TIMEOUT_MS);
    const points = await countPoints(ALONE, 'again undisturbed');
    // Both runs are under way then.
    const killAt = 1 + points.lastIndexOf('after sending Mediate') + 3;
    const killed = await sweep('second life', ALONE, STRIDE, { before: { killAt } });
    tell(`${killed * STRIDE} crash points and a few in the life after one that was killed`);
    assert.ok(killed > 0);
  });

  it('at any point while others wait for its node or its place lets them start once it is started again', async function () {
    this.timeout(SWEEP_TIMEOUT_MS);
    const killed = await sweep('crowded', CROWDED, CROWDED_STRIDE);
    tell(`${killed * CROWDED_STRIDE} crash points of executions that wait for one another`, CROWDED_STRIDE);
    assert.ok(killed > 0 && waited > 0, `${killed} were tried, ${waited} executions waited`);
  });

  it('has let no plugin run twice', async () => {
    assert.deepEqual([...new Set((await appendedRuns(appended)).values())], [1]);
  });
});
