import { setTimeout as delay } from 'node:timers/promises';
import type { LomClient } from '../../services/cli/client.js';
import { ExecutionState, RunState, type Outcome } from '../../services/shared/gen/rune/v1/run.js';
import { newId } from '../../services/shared/messages/ids.js';
import { ACTIONS, cannotStart, type ChaosNode } from './chaos-world.js';
import type { EventLedger } from './event-ledger.js';
import type { Asked } from './judge.js';
import type { RunSpan } from './journal.js';
import { createPersistentCaller, type PersistentCaller } from './persistent-caller.js';
import type { Task } from './task.js';

/** One run and what LOM said about it. Times are those of performance.now(). */
export interface StormRun extends RunSpan {
  readonly executionId: string;
  readonly node: ChaosNode;
  readonly asked: Asked;
  /** The node said that the plugin began. */
  began: boolean;
  mediator: string;
  /** When its outcome came; Infinity before. */
  toMs: number;
  outcome: Outcome | undefined;
  /** From then on nothing of it may be alive, by its outcome. */
  overByMs: number;
  /** Until then it may keep its lock: for the time that its mediator gave it, counted from when that was recorded. */
  unlockedByMs: number;
}

/** Where the runs of all tasks are kept, and who hears of what must not be. */
export interface TaskLog {
  readonly runs: Map<string, StormRun>;
  /** Final states of the executions that were accepted. */
  readonly executions: Map<string, ExecutionState>;
  report(problem: string, run?: StormRun): void;
}

/** What tasks are performed with. */
export interface TaskTools {
  /** A client of each replica. */
  readonly clients: readonly LomClient[];
  readonly ledger: EventLedger;
  readonly tracePath: string;
  readonly limitMs: number;
}

/** Runs a task to its end and resolves with its runs. What LOM must not do is reported; never rejects. */
export async function performTask(
  task: Task,
  { clients, ledger, tracePath, limitMs }: TaskTools,
  log: TaskLog,
): Promise<StormRun[]> {
  const fromMs = performance.now();
  const own = new Map<string, StormRun>();
  const giveUp = new AbortController();
  const limit = setTimeout(() => giveUp.abort(), limitMs);
  const newCaller = (name: string): PersistentCaller =>
    createPersistentCaller(clients, task.choices.fork(name), ledger, giveUp.signal);
  const caller = newCaller('caller');
  const others: Promise<unknown>[] = [];
  let state: ExecutionState = ExecutionState.UNSPECIFIED;
  let seen = 0;

  const runOf = (executionId: string, runId: string, name: string): StormRun => {
    const known = own.get(name);
    if (known !== undefined) {
      if (known.runId !== runId) log.report(`A node has two runs of one execution, ${runId} too`, known);
      return known;
    }
    const node = task.nodes.find((each) => each.name === name);
    if (node === undefined) throw new Error(`there is a run on ${name}, which was not asked for`);
    const run = newRun(task, node, { executionId, runId, fromMs });
    own.set(name, run);
    log.runs.set(runId, run);
    return run;
  };

  const cancelLater = async (executionId: string, afterMs: number): Promise<void> => {
    await delay(afterMs, undefined, { signal: giveUp.signal });
    await newCaller('cancel').ask((client, options) =>
      client.cancelExecution({ executionId, reason: 'chaos' }, options),
    );
  };
  const watchToo = async (executionId: string, { afterMs, fromShare }: Watcher): Promise<void> => {
    await delay(afterMs, undefined, { signal: giveUp.signal });
    const fromSeq = Math.max(1, Math.round(seen * fromShare));
    const watching = newCaller(`watcher ${afterMs}`).watch(executionId, fromSeq);
    while ((await watching.next()).done !== true);
  };
  const noteMediators = async (executionId: string): Promise<void> => {
    const { runs } = await caller.ask((client, options) => client.getExecution({ executionId }, options));
    for (const { node, mediator } of runs) {
      const run = own.get(node);
      if (run !== undefined) run.mediator = mediator;
    }
  };

  try {
    const request = {
      action: task.action,
      targets: { nodes: task.nodes.map(({ name }) => name) },
      params: { ...task.params, trace: tracePath },
      timeout: { seconds: task.timeoutMs / 1_000, nanos: 0 },
      requestId: newId(),
    };
    const submit = async (): Promise<string> => {
      const answer = await caller.ask((client, options) => client.submitExecution(request, options));
      return answer.execution?.executionId ?? '';
    };
    const executionId = await submit();
    log.executions.set(executionId, state);
    if (task.cancelAfterMs !== undefined) others.push(cancelLater(executionId, task.cancelAfterMs));
    others.push(...task.watchers.map((each) => watchToo(executionId, each)));
    // What fails meanwhile is reported when it is waited for.
    for (const each of others) each.catch(() => undefined);
    const askAgain = async (): Promise<void> => {
      if ((await submit()) !== executionId) throw new Error('one request has made two executions');
    };
    for await (const { runId, node, seq, event } of caller.watch(executionId, 1, askAgain)) {
      seen = seq;
      if (event?.$case === 'execution') state = event.value.state;
      if (runId === '') continue;
      const run = runOf(executionId, runId, node);
      if (event?.$case === 'state' && event.value === RunState.RUNNING) run.began = true;
      if (event?.$case === 'outcome') noteOutcome(run, event.value, log);
    }
    log.executions.set(executionId, state);
    await noteMediators(executionId);
    await Promise.all(others);
  } catch (error) {
    log.report(`An execution broke off: ${String(error)}`, [...own.values()].find(isOpen));
  } finally {
    clearTimeout(limit);
    giveUp.abort();
    await Promise.allSettled(others);
  }
  const missing = task.nodes.filter(({ name }) => own.get(name)?.outcome === undefined);
  if (missing.length > 0) {
    const names = missing.map(({ name }) => name).join();
    log.report(`An execution ended without an outcome for ${names}`, [...own.values()].find(isOpen));
  }
  if (state < ExecutionState.SUCCEEDED) log.report(`An execution ended in the state ${state}`);
  return [...own.values()];
}

type Watcher = Task['watchers'][number];

const isOpen = ({ outcome }: StormRun): boolean => outcome === undefined;

function newRun(
  task: Task,
  node: ChaosNode,
  about: Pick<StormRun, 'executionId' | 'runId' | 'fromMs'>,
): StormRun {
  const { params, timeoutMs, cancelAfterMs } = task;
  const asked: Asked = {
    ending: params.ending,
    timeoutMs,
    outlivesTimeout: params.milliseconds >= timeoutMs,
    cancelled: cancelAfterMs !== undefined,
    locks: task.action === ACTIONS.directory,
    cannotStart: cannotStart(node, task.action),
  };
  const open = { began: false, mediator: '', toMs: Infinity, outcome: undefined };
  return {
    ...about,
    node,
    address: node.address,
    asked,
    ...open,
    overByMs: Infinity,
    unlockedByMs: Infinity,
  };
}

function noteOutcome(run: StormRun, outcome: Outcome, log: TaskLog): void {
  if (run.outcome !== undefined) log.report('A run has two outcomes', run);
  run.outcome = outcome;
  run.toMs = performance.now();
  const { maySurvive, stoppedOnNodeBy, endedAt } = outcome;
  const byMs = maySurvive ? stoppedOnNodeBy?.getTime() : undefined;
  run.overByMs = byMs === undefined ? run.toMs : run.toMs + byMs - Date.now();
  // It was recorded before it came here, which may be long after it was said.
  run.unlockedByMs = byMs === undefined ? run.toMs : run.toMs + byMs - (endedAt?.getTime() ?? byMs);
}
