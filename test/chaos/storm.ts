import { setTimeout as delay } from 'node:timers/promises';
import type { Outcome } from '../../services/shared/gen/rune/v1/run.js';
import { runStateName } from '../../services/shared/outcome-log.js';
import { eventually } from '../support/eventually.js';
import { residentBytes } from '../support/resident-bytes.js';
import { startChaosWorld, type ChaosWorld, type Patience } from './chaos-world.js';
import { createStoppedProcesses, drawFault, type FaultWorld, type RunInFlight } from './faults.js';
import { createJournal } from './journal.js';
import { judge } from './judge.js';
import { descriptorsOf, leftovers, livingOf } from './leftovers.js';
import { readProcessTable } from './node-processes.js';
import { performTask, type StormRun, type TaskLog } from './perform-task.js';
import { seededRandom } from './random.js';
import { drawTask, TASK_TIMEOUT_MS } from './task.js';
import { watchStandstill } from './watch-standstill.js';

/** How much chaos, and which. It is over when either limit is reached. */
export interface StormOptions {
  readonly seed: number;
  readonly runsMax: number;
  readonly msMax: number;
  readonly network: Network;
  /** Hears what goes on, in words for a person. */
  readonly say: (text: string) => void;
  /** Ends it early. */
  readonly signal: AbortSignal;
}

/** How bad it may get, and what the mediator puts up with. */
export interface Network extends Patience {
  /** A connection that swallows everything is reset after this time. */
  readonly swallowMs: number;
}

/** The mediator has to find out by itself, and the node too: nothing helps before the lease is over. */
export const SILENT_NETWORK: Network = { connectTimeoutMs: 20_000, silenceSeconds: 6, swallowMs: 45_000 };

/** Nothing stays silent for long, and on a machine that is busy nothing is given up too soon. */
export const QUICK_NETWORK: Network = { connectTimeoutMs: 60_000, silenceSeconds: 30, swallowMs: 2_000 };

/** What came of it. */
export interface StormReport {
  /** How many runs were asked for. */
  readonly runs: number;
  readonly faults: number;
  /** How many runs came to each state. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** The most that a service had in memory above what it had when it was idle, in bytes. */
  readonly growthBytes: Readonly<Record<string, number>>;
  /** What was not as it must be; each one holds what is needed to understand and to repeat it. */
  readonly problems: readonly string[];
}

const SERVICES = ['lom', 'lmm'] as const;
const TASKS_AT_ONCE = 10;
const FAULT_PAUSE_MS_MAX = 80;
const SWEEP_PAUSE_MS = 1_000;
const SAY_EVERY_SWEEPS = 5;
/** A machine that gives this program no turn for so long gives none to a node's. */
const STANDSTILL_MS = 2_000;
const NOW = Promise.resolve();
/** For whatever a busy machine does late. */
const BUSY_MACHINE_MS = 5_000;
/** The lease, the grace and the margin: by then a node has ended every plugin that it hears nothing about. */
const NODE_ENDS_PLUGIN_MS = 15_000 + 1_000 + 10_000;
/** The plugin's time, grace and margin. */
const TASK_MS_MAX = TASK_TIMEOUT_MS + 1_000 + 10_000 + 2 * BUSY_MACHINE_MS;
const GROWTH_BYTES_MAX = 128 * 1024 ** 2;
/** What was done to a node is told from so long before a run to so long after it. */
const TELL_MS = 20_000;

/**
 * Runs actions on many nodes while connections and processes are hurt at random, and looks whether everything that is said about
 * the runs is true and nothing stays behind. The seed decides what is run, what is hurt and how; what it meets, the machine.
 */
export async function runStorm(options: StormOptions): Promise<StormReport> {
  const chaos = await startChaosWorld(options.network);
  try {
    return await storm(chaos, options);
  } finally {
    await chaos.stop();
  }
}

async function storm(chaos: ChaosWorld, options: StormOptions): Promise<StormReport> {
  const { world, traces, nodes } = chaos;
  const { seed, say, signal, runsMax, msMax, network } = options;
  const taskTools = {
    client: world.client,
    tracePath: chaos.tracePath,
    limitMs: network.connectTimeoutMs + TASK_MS_MAX,
  };
  const random = seededRandom(seed);
  const startMs = performance.now();
  const journal = createJournal(startMs);
  const runs = new Map<string, StormRun>();
  const reported = new Set<StormRun>();
  const problems: string[] = [];
  const outcomes: Record<string, number> = {};
  const growthBytes = { lom: 0, lmm: 0 };
  let asked = 0;
  let faultCount = 0;

  const log: TaskLog = {
    runs,
    report(problem, run) {
      if (run !== undefined) {
        if (reported.has(run)) return;
        reported.add(run);
      }
      const lines = run === undefined ? [] : tellRun(run);
      problems.push([`${problem}. Repeat it: npm run chaos -- --seed ${seed}`, ...lines].join('\n  '));
      say(problems.at(-1) ?? '');
    },
  };
  const tellRun = (run: StormRun): string[] => {
    const { runId, node, address, fromMs, toMs } = run;
    const at = (ms: number): string => ((ms - startMs) / 1_000).toFixed(3);
    const deeds = journal.tell(address, fromMs - TELL_MS, Math.min(toMs, performance.now()) + TELL_MS);
    return [
      `run ${runId} on ${node.name} (${address}), from ${at(fromMs)} s to ${at(toMs)} s`,
      `asked: ${JSON.stringify(run.asked)}`,
      `outcome: ${JSON.stringify(briefly(run.outcome))}`,
      `trace on the node: ${JSON.stringify(traces.of(runId))}`,
      ...deeds.map((line) => `done to the node: ${line}`),
      ...world.lmm.log.filter((line) => line.includes(runId)).map((line) => `lmm: ${line}`),
    ];
  };
  const judgeRun = (run: StormRun): void => {
    if (run.outcome === undefined) return;
    const fault = judge(run.outcome, {
      asked: run.asked,
      trace: traces.of(run.runId),
      hits: journal.hitsOf(run),
      tookMs: run.toMs - run.fromMs,
    });
    if (fault !== undefined) log.report(`The outcome of a run is not true: ${fault}`, run);
  };

  const awaitQuiet = (timeoutMs: number): Promise<unknown> =>
    eventually(
      async () => {
        const left = await leftovers(chaos);
        if (left.length > 0) throw new Error(left.join('; '));
      },
      { label: 'nothing to be left on any node', timeoutMs, pauseMs: SWEEP_PAUSE_MS },
    );

  // What a service opens with its first run by either transport stays open; the first node has one, the second the other.
  await performTask(
    { ...drawTask(random.fork('first'), nodes, 0), nodes: nodes.slice(0, 2), cancelAfterMs: undefined },
    taskTools,
    log,
  );
  await awaitQuiet(NODE_ENDS_PLUGIN_MS);
  const first = runs.size;
  const idle = SERVICES.map((name) => {
    const { pid } = world[name];
    return { name, pid, descriptors: descriptorsOf(pid), bytes: residentBytes(pid) };
  });

  const isOver = (): boolean =>
    signal.aborted || problems.length > 0 || asked >= runsMax || performance.now() - startMs >= msMax;
  const tasks = random.fork('tasks');
  const work = async (): Promise<void> => {
    while (!isOver()) {
      const task = drawTask(tasks, nodes, runsMax - asked);
      asked += task.nodes.length;
      const ended = await performTask(task, taskTools, log);
      await traces.refresh();
      for (const run of ended) {
        const state = run.outcome === undefined ? 'none' : runStateName(run.outcome.state);
        outcomes[state] = (outcomes[state] ?? 0) + 1;
        judgeRun(run);
      }
    }
  };

  const stopped = createStoppedProcesses();
  const calm = new AbortController();
  const stormy = nodes.filter(({ isCalm }) => !isCalm).map(({ address }) => address);
  const inFlight = (): RunInFlight[] =>
    [...runs.values()]
      .filter(({ began, outcome, node }) => began && outcome === undefined && !node.isCalm)
      .map(({ runId, address }) => ({ runId, address, trace: traces.of(runId) }))
      .filter(({ trace }) => trace.starts > 0 && trace.ends.length === 0);
  const hurt = async (): Promise<void> => {
    const faults: FaultWorld = {
      random: random.fork('faults'),
      addresses: stormy,
      links: () => chaos.links.links().filter(({ address }) => stormy.includes(address)),
      runs: inFlight,
      await: chaos.await,
      sshdPid: world.sshd.pid,
      since: chaos.since,
      markOf: chaos.markOf,
      temporaryDirectory: chaos.temporaryDirectory,
      stopped,
      swallowMs: network.swallowMs,
      halved: new Set(),
      note: (deed) => {
        faultCount += 1;
        journal.add(deed);
      },
    };
    while (!calm.signal.aborted) {
      await delay(faults.random.int(0, FAULT_PAUSE_MS_MAX));
      await traces.refresh();
      await drawFault(faults.random)(faults);
    }
  };

  const swept = new Set<StormRun>();
  const sweepOnce = async (): Promise<void> => {
    for (const { name, pid, bytes } of idle)
      growthBytes[name] = Math.max(growthBytes[name], residentBytes(pid) - bytes);
    const nowMs = performance.now();
    const due = [...runs.values()].filter((run) => run.overByMs < nowMs && !swept.has(run));
    if (due.length === 0) return;
    const table = await readProcessTable(chaos.since);
    for (const run of due) {
      const left = livingOf(run.runId, chaos, table);
      // A node that stood still itself begins to count when it goes on.
      const mayLiveUntilMs = run.outcome?.maySurvive
        ? Math.max(run.overByMs, journal.lastOverMs(run) + NODE_ENDS_PLUGIN_MS) + BUSY_MACHINE_MS
        : 0;
      if (left.length > 0 && nowMs < mayLiveUntilMs) continue;
      swept.add(run);
      if (left.length > 0) log.report(`A run is over, and its processes ${left.join()} live`, run);
    }
  };
  const sweep = async (): Promise<void> => {
    for (let count = 1; !calm.signal.aborted; count += 1) {
      await delay(SWEEP_PAUSE_MS);
      await sweepOnce();
      if (count % SAY_EVERY_SWEEPS !== 0) continue;
      const seconds = ((performance.now() - startMs) / 1_000).toFixed(0);
      say(`${seconds} s: ${asked} runs, ${faultCount} faults, ${JSON.stringify(outcomes)}`);
    }
  };

  const stopWatching = watchStandstill(STANDSTILL_MS, (ms) => {
    say(`The machine stood still for ${ms} ms`);
    for (const { address } of nodes)
      journal.add({ what: `standstill of the machine for ${ms} ms`, address, hits: 'link', over: NOW });
  });
  const around = Promise.all([hurt(), sweep()]);
  await Promise.all(Array.from({ length: TASKS_AT_ONCE }, work)).finally(stopWatching);
  calm.abort();
  await around;
  // The nodes go on and the network is repaired: from now on everything must end by itself.
  stopped.release();
  for (const link of chaos.links.links()) link.destroy();
  await awaitQuiet(NODE_ENDS_PLUGIN_MS + BUSY_MACHINE_MS).catch((error: unknown) =>
    log.report(String(error)),
  );
  await sweepOnce();
  await traces.refresh();
  for (const run of runs.values()) judgeRun(run);
  for (const runId of traces.runIds())
    if (!runs.has(runId)) log.report(`The run ${runId} left a trace, and nobody asked for it`);
  if (runs.size - first !== asked)
    log.report(`${asked} runs were asked for, and there were ${runs.size - first}`);
  for (const { name, pid, descriptors } of idle) {
    await eventually(
      () => {
        const more = descriptorsOf(pid).filter((each) => !descriptors.includes(each));
        if (descriptorsOf(pid).length > descriptors.length) throw new Error(more.join('; '));
      },
      { label: `the descriptors of ${name} to be closed` },
    ).catch((error: unknown) => log.report(String(error)));
    if (growthBytes[name] > GROWTH_BYTES_MAX) log.report(`${name} grew by ${growthBytes[name]} bytes`);
    for (const line of world[name].log.filter((each) => each.includes('"level":"error"')))
      log.report(`${name} says: ${line}`);
  }
  return { runs: asked, faults: faultCount, outcomes, growthBytes, problems };
}

function briefly(outcome: Outcome | undefined): unknown {
  if (outcome === undefined) return undefined;
  const { state, error, result: _result, phases: _phases, ...others } = outcome;
  return {
    state: runStateName(state),
    error: error?.errorData?.name,
    message: error?.errorData?.message,
    evidence: error?.errorData?.data?.evidence,
    stderrTail: error?.errorData?.data?.stderrTail,
    ...others,
  };
}
