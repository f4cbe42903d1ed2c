import { setTimeout as delay } from 'node:timers/promises';
import type { Outcome } from '../../services/shared/gen/rune/v1/run.js';
import { runStateName } from '../../services/shared/logging/outcome-log.js';
import { eventually } from '../support/eventually.js';
import { residentBytes } from '../support/resident-bytes.js';
import type { ChaosService } from './chaos-services.js';
import { startChaosWorld, type ChaosWorld, type Patience } from './chaos-world.js';
import { compareWithStore, type Comparison } from './compare-with-store.js';
import { createEventLedger } from './event-ledger.js';
import { createStoppedProcesses, drawFault, type FaultWorld, type RunInFlight } from './faults.js';
import { createJournal, type Journal } from './journal.js';
import { judge } from './judge.js';
import { descriptorsOf, leftovers, livingOf } from './leftovers.js';
import { readProcessTable } from './node-processes.js';
import { performTask, type StormRun, type TaskLog, type TaskTools } from './perform-task.js';
import { seededRandom } from './random.js';
import { DATABASE, hurtServices, type ServicePaces } from './service-faults.js';
import { drawTask, TASK_TIMEOUT_MS } from './task.js';
import { watchStandstill } from './watch-standstill.js';

/** How much chaos, and which. It is over when either limit is reached. */
export interface StormOptions {
  readonly seed: number;
  readonly runsMax: number;
  readonly msMax: number;
  readonly weather: Weather;
  /** Hears what goes on, in words for a person. */
  readonly say: (text: string) => void;
  /** Ends it early. */
  readonly signal: AbortSignal;
}

/** How bad it may get, and what the mediators put up with. */
export interface Weather extends Patience, ServicePaces {}

/** Services have to find out by themselves, and nodes too: nothing helps before the lease is over. */
export const SILENT_WEATHER: Weather = {
  connectTimeoutMs: 20_000,
  silenceSeconds: 6,
  swallowMs: 45_000,
  replicaPause: { minMs: 2_000, maxMs: 10_000 },
  mediatorPause: { minMs: 3_000, maxMs: 15_000 },
  wayPause: { minMs: 500, maxMs: 6_000 },
  databasePause: { minMs: 15_000, maxMs: 60_000 },
  replicaStopMsMax: 8_000,
  mediatorStopMsMax: 20_000,
  downMsMax: 3_000,
};

/** Nothing stays silent for long, and on a machine that is busy nothing is given up too soon. */
export const QUICK_WEATHER: Weather = {
  connectTimeoutMs: 60_000,
  silenceSeconds: 30,
  swallowMs: 2_000,
  replicaPause: { minMs: 1_000, maxMs: 3_000 },
  mediatorPause: { minMs: 1_000, maxMs: 4_000 },
  wayPause: { minMs: 100, maxMs: 1_000 },
  databasePause: { minMs: 3_000, maxMs: 6_000 },
  replicaStopMsMax: 3_500,
  mediatorStopMsMax: 2_000,
  downMsMax: 500,
};

/** What came of it. */
export interface StormReport {
  /** How many runs were asked for. */
  readonly runs: number;
  /** How many executions were accepted. */
  readonly executions: number;
  /** How many events they have, and how many all watchers together saw. */
  readonly events: { readonly recorded: number; readonly watched: number };
  /** How many things were done to nodes, orchestrators, mediators, the ways between those and the database. */
  readonly faults: Journal['counts'];
  /** How many runs came to each state. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** How many runs the store has in which state, and how many beginnings those wrote down on their nodes. */
  readonly recorded: Comparison;
  /** What `rune-lom store check` printed. */
  readonly storeCheck: string;
  /** The most that a service had in memory above what it had when it was idle, in bytes. */
  readonly growthBytes: Readonly<Record<string, number>>;
  /** What was not as it must be; each one holds what is needed to understand and to repeat it. */
  readonly problems: readonly string[];
}

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
/** What orchestrators need that are killed again and again, and do not hear that a way is gone. */
const OUTAGES_MS_MAX = 240_000;
const COMPARE_MS_MAX = 120_000;
const GROWTH_BYTES_MAX = 128 * 1024 ** 2;
/** What a service opens with its first runs stays open, and an orchestrator keeps connections to the database. */
const DESCRIPTORS_MORE_MAX = 20;
/** What was done to a node is told from so long before a run to so long after it. */
const TELL_MS = 20_000;

/**
 * Runs actions on many nodes while connections, processes, services and their database are hurt at random, and looks whether
 * everything that is said about the runs is true and nothing stays behind. The seed decides what is run, what is hurt and how; what
 * it meets, the machine.
 */
export async function runStorm(options: StormOptions): Promise<StormReport> {
  const chaos = await startChaosWorld(options.weather);
  try {
    return await storm(chaos, options);
  } finally {
    await chaos.stop();
  }
}

async function storm(chaos: ChaosWorld, options: StormOptions): Promise<StormReport> {
  const { services, traces, nodes } = chaos;
  const { seed, say, signal, runsMax, msMax, weather } = options;
  const clients = services.replicas.map(({ client }) => client);
  const ledger = createEventLedger();
  const taskTools: TaskTools = {
    clients,
    ledger,
    tracePath: chaos.tracePath,
    limitMs: weather.connectTimeoutMs + TASK_MS_MAX + OUTAGES_MS_MAX,
  };
  const random = seededRandom(seed);
  const startMs = performance.now();
  const mediators = services.mediators.map(({ address }) => address);
  const journal = createJournal(startMs, mediators);
  const runs = new Map<string, StormRun>();
  const executions: TaskLog['executions'] = new Map();
  const reported = new Set<StormRun>();
  const problems: string[] = [];
  const outcomes: Record<string, number> = {};
  const growthBytes: Record<string, number> = {};
  let asked = 0;

  const log: TaskLog = {
    runs,
    executions,
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
    const { runId, executionId, node, address, mediator, fromMs, toMs } = run;
    const at = (ms: number): string => ((ms - startMs) / 1_000).toFixed(3);
    const until = Math.min(toMs, performance.now()) + TELL_MS;
    const told = (...addresses: string[]): string[] => journal.tell(addresses, fromMs - TELL_MS, until);
    const said = services.all.flatMap((service) =>
      service
        .log()
        .filter((line) => line.includes(runId) || line.includes(executionId))
        .map((line) => `${service.name}: ${line}`),
    );
    return [
      `run ${runId} of ${executionId} on ${node.name} (${address}), from ${at(fromMs)} s to ${at(toMs)} s`,
      `asked: ${JSON.stringify(run.asked)}`,
      `outcome: ${JSON.stringify(briefly(run.outcome))}`,
      `trace on the node: ${JSON.stringify(traces.of(runId))}`,
      ...told(address).map((line) => `done to the node: ${line}`),
      ...told(...(mediator === '' ? mediators : [mediator])).map((line) => `done to its mediator: ${line}`),
      ...told(DATABASE, ...services.replicas.map((each) => each.address)).map((line) => `done: ${line}`),
      ...said,
    ];
  };
  let areAllKnown = false;
  /** Who has a node may have shown nothing yet: while that may be so, whatever is said of locks is believed. */
  const isContended = (run: StormRun): boolean =>
    run.asked.locks &&
    (!areAllKnown ||
      [...runs.values()].some(
        (other) =>
          other !== run &&
          other.asked.locks &&
          other.node === run.node &&
          other.fromMs <= run.toMs &&
          Math.max(other.toMs, other.unlockedByMs) >= run.fromMs,
      ));
  const judgeRun = (run: StormRun): void => {
    if (run.outcome === undefined) return;
    const fault = judge(run.outcome, {
      asked: run.asked,
      trace: traces.of(run.runId),
      hits: journal.hitsOf(run),
      contended: isContended(run),
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

  const idle = services.all.map((service) => {
    const { pid } = service.process;
    return { service, descriptors: descriptorsOf(pid).length, bytes: residentBytes(pid) };
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
      sshdPid: chaos.sshd.pid,
      since: chaos.since,
      markOf: chaos.markOf,
      temporaryDirectory: chaos.temporaryDirectory,
      stopped,
      swallowMs: weather.swallowMs,
      halved: new Set(),
      note: journal.add,
    };
    while (!calm.signal.aborted) {
      await delay(faults.random.int(0, FAULT_PAUSE_MS_MAX));
      await traces.refresh();
      await drawFault(faults.random)(faults);
    }
  };

  const swept = new Set<StormRun>();
  const sweepOnce = async (): Promise<void> => {
    for (const { service, bytes } of idle) {
      const { name, process } = service;
      growthBytes[name] = Math.max(growthBytes[name] ?? 0, memoryOf(process.pid) - bytes);
    }
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
      say(
        `${seconds} s: ${asked} runs, faults ${JSON.stringify(journal.counts)}, ${JSON.stringify(outcomes)}`,
      );
    }
  };

  const stopWatching = watchStandstill(STANDSTILL_MS, (ms) => {
    say(`The machine stood still for ${ms} ms`);
    const what = `standstill of the machine for ${ms} ms`;
    for (const { address } of nodes) journal.add({ on: 'node', what, address, hits: 'link', over: NOW });
    for (const address of mediators)
      for (const hits of ['mediator', 'way'] as const)
        journal.add({ on: 'lmm', what, address, hits, over: NOW });
  });
  const serviceFaults = hurtServices(
    {
      random: random.fork('services'),
      services,
      stopped,
      paces: weather,
      note: journal.add,
    },
    calm.signal,
  ).catch((error: unknown) => log.report(`A service does not come back: ${String(error)}`));
  const around = Promise.all([hurt(), sweep(), serviceFaults]);
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
  areAllKnown = true;
  for (const run of runs.values()) judgeRun(run);
  for (const runId of traces.runIds())
    if (!runs.has(runId)) log.report(`The run ${runId} left a trace, and nobody asked for it`);
  if (runs.size !== asked) log.report(`${asked} runs were asked for, and there were ${runs.size}`);
  const records = { executions, runs, ledger, traces, clients };
  const late = AbortSignal.timeout(COMPARE_MS_MAX);
  const recorded = await compareWithStore(records, random.fork('compare'), late, log.report).catch(
    (error: unknown) => {
      log.report(`The store cannot be compared: ${String(error)}`);
      return {};
    },
  );
  const storeCheck = await services.checkStore().catch((error: unknown) => {
    log.report(`The store contradicts itself: ${String(error)}`);
    return '';
  });
  for (const { service, descriptors } of idle) {
    const { name, process } = service;
    await eventually(
      () => {
        const open = descriptorsOf(process.pid);
        if (open.length > descriptors + DESCRIPTORS_MORE_MAX) throw new Error(open.join('; '));
      },
      { label: `the descriptors of ${name} to be closed` },
    ).catch((error: unknown) => log.report(String(error)));
    const grown = growthBytes[name] ?? 0;
    if (grown > GROWTH_BYTES_MAX) log.report(`${name} grew by ${grown} bytes`);
    for (const line of faultLines(service)) log.report(`${name} says: ${line}`);
  }
  const events = { recorded: ledger.different, watched: ledger.noted };
  const { counts: faults } = journal;
  return {
    runs: asked,
    executions: executions.size,
    events,
    faults,
    outcomes,
    recorded,
    storeCheck,
    growthBytes,
    problems,
  };
}

/** Bytes of a process; 0 for one that is down. */
function memoryOf(pid: number): number {
  try {
    return residentBytes(pid);
  } catch {
    return 0;
  }
}

/** Lines about faults of a service itself: a database that is away is none. */
function faultLines(service: ChaosService): string[] {
  return service
    .log()
    .filter((line) => line.includes('"level":"error"') && !line.includes('STORE_UNAVAILABLE'));
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
