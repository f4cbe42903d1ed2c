import type { LomClient } from '../../services/cli/client.js';
import { ExecutionState, RunState, type Outcome } from '../../services/shared/gen/rune/v1/run.js';
import { cannotStart, type ChaosNode } from './chaos-world.js';
import type { Asked } from './judge.js';
import type { RunSpan } from './journal.js';
import type { Task } from './task.js';

/** One run and what LOM said about it. Times are those of performance.now(). */
export interface StormRun extends RunSpan {
  readonly node: ChaosNode;
  readonly asked: Asked;
  /** The node said that the plugin began. */
  began: boolean;
  /** When its outcome came; Infinity before. */
  toMs: number;
  outcome: Outcome | undefined;
  /** From then on nothing of it may be alive, by its outcome. */
  overByMs: number;
}

/** Where the runs of all tasks are kept, and who hears of what must not be. */
export interface TaskLog {
  readonly runs: Map<string, StormRun>;
  report(problem: string, run?: StormRun): void;
}

/** Runs a task to its end and resolves with its runs. What LOM must not do is reported; never rejects. */
export async function performTask(
  task: Task,
  tools: { readonly client: LomClient; readonly tracePath: string; readonly limitMs: number },
  log: TaskLog,
): Promise<StormRun[]> {
  const { client, tracePath, limitMs } = tools;
  const fromMs = performance.now();
  const own = new Map<string, StormRun>();
  const giveUp = new AbortController();
  const limit = setTimeout(() => giveUp.abort(), limitMs);
  let cancel: NodeJS.Timeout | undefined;
  let state: ExecutionState = ExecutionState.UNSPECIFIED;

  const runOf = (runId: string, name: string): StormRun => {
    const known = own.get(name);
    if (known !== undefined) {
      if (known.runId !== runId) log.report(`A node has two runs of one execution, ${runId} too`, known);
      return known;
    }
    const node = task.nodes.find((each) => each.name === name);
    if (node === undefined) throw new Error(`there is a run on ${name}, which was not asked for`);
    const run = newRun(task, node, runId, fromMs);
    own.set(name, run);
    log.runs.set(runId, run);
    return run;
  };

  try {
    const request = {
      action: task.action,
      targets: { nodes: task.nodes.map(({ name }) => name) },
      params: { ...task.params, trace: tracePath },
      timeout: { seconds: task.timeoutMs / 1_000, nanos: 0 },
    };
    for await (const { executionId, runId, node, event } of client.run(request, { signal: giveUp.signal })) {
      if (task.cancelAfterMs !== undefined) {
        cancel ??= setTimeout(() => {
          // It may have ended meanwhile.
          client.cancelExecution({ executionId, reason: 'chaos' }).catch(() => undefined);
        }, task.cancelAfterMs);
      }
      if (event?.$case === 'execution') state = event.value.state;
      if (runId === '') continue;
      const run = runOf(runId, node);
      if (event?.$case === 'state' && event.value === RunState.RUNNING) run.began = true;
      if (event?.$case === 'outcome') noteOutcome(run, event.value, log);
    }
  } catch (error) {
    log.report(`An execution broke off: ${String(error)}`, [...own.values()].find(isOpen));
  } finally {
    clearTimeout(limit);
    clearTimeout(cancel);
  }
  const missing = task.nodes.filter(({ name }) => own.get(name)?.outcome === undefined);
  if (missing.length > 0) {
    const names = missing.map(({ name }) => name).join();
    log.report(`An execution ended without an outcome for ${names}`, [...own.values()].find(isOpen));
  }
  if (state < ExecutionState.SUCCEEDED) log.report(`An execution ended in the state ${state}`);
  return [...own.values()];
}

const isOpen = ({ outcome }: StormRun): boolean => outcome === undefined;

function newRun(task: Task, node: ChaosNode, runId: string, fromMs: number): StormRun {
  const { params, timeoutMs, cancelAfterMs } = task;
  const asked: Asked = {
    ending: params.ending,
    timeoutMs,
    outlivesTimeout: params.milliseconds >= timeoutMs,
    cancelled: cancelAfterMs !== undefined,
    cannotStart: cannotStart(node, task.action),
  };
  const open = { began: false, toMs: Infinity, outcome: undefined, overByMs: Infinity };
  return { runId, node, address: node.address, asked, fromMs, ...open };
}

function noteOutcome(run: StormRun, outcome: Outcome, log: TaskLog): void {
  if (run.outcome !== undefined) log.report('A run has two outcomes', run);
  run.outcome = outcome;
  run.toMs = performance.now();
  const by = outcome.stoppedOnNodeBy;
  run.overByMs = outcome.maySurvive && by !== undefined ? run.toMs + by.getTime() - Date.now() : run.toMs;
}
