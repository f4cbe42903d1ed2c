import { setMaxListeners } from 'node:events';
import { RuneError } from '../../shared/errors.js';
import { ExecutionState, RunState } from '../../shared/gen/rune/v1/run.js';
import { batchesOf } from '../plan/rollout.js';
import type { RunRecord } from '../store/store.js';
import { createActiveRuns } from './active-runs.js';
import { executionStatus } from './execution-status.js';
import { isFinal, isFinalRun } from '../../shared/messages/is-final.js';
import { finalState } from './final-state.js';
import type { ExecutionDeps, OwnedExecution } from './owned-execution.js';
import { NotOwner, type Event } from './recorder.js';

/** One accepted request that this process performs. It needs nobody to go on. */
export interface Execution {
  readonly id: string;
  readonly state: ExecutionState;
  /** How many runs have ended in which state. */
  readonly counts: ReadonlyMap<RunState, number>;
  /** Runs that are being performed at this moment, and those that have not begun or wait for a retry. */
  readonly active: number;
  readonly queued: number;
  /** Asks every run to stop. Asking twice is harmless. */
  cancel(reason: string): void;
  /** Leaves the execution as it is recorded, to be taken over; its runs go on. */
  leave(): void;
  /** Settles when the final state is recorded, or the execution is left; never rejects. */
  readonly finished: Promise<void>;
}

/** Performs an execution from wherever it is recorded to be. */
export function performExecution(owned: OwnedExecution, deps: ExecutionDeps): Execution {
  const { record, header, intent } = owned;
  const { recorder, logger } = deps;
  const counts = new Map<RunState, number>();
  const left = new AbortController();
  // Nobody needs to wait for a place any more: the execution is left, or every run is about to be cancelled.
  const hurry = new AbortController();
  setMaxListeners(0, left.signal, hurry.signal);
  const rollout = intent instanceof RuneError ? undefined : intent.plan.rollout;
  let state = record.state;
  let cancelReason: string | undefined;
  let canaryFailed = false;

  const countOf = (runState: RunState): number => counts.get(runState) ?? 0;
  const count = (runState: RunState): void => void counts.set(runState, countOf(runState) + 1);
  const status = (): Event => ({ $case: 'execution', value: executionStatus({ ...record, state }, counts) });
  const leave = (thrown?: unknown): void => {
    if (thrown !== undefined && !left.signal.aborted && !(thrown instanceof NotOwner))
      logger.error('an execution is left as it is recorded', {
        execution_id: record.id,
        trace_id: header.observability?.traceId,
        err: thrown,
      });
    left.abort(thrown ?? new NotOwner('The service leaves the execution.'));
    hurry.abort();
  };

  const whyHeldBack = (): string | undefined => {
    // Whatever has not started is cancelled then.
    if (cancelReason !== undefined) return undefined;
    if (canaryFailed) return 'The canary did not succeed.';
    const failures = countOf(RunState.FAILED) + countOf(RunState.TIMED_OUT) + countOf(RunState.LOST);
    if (rollout !== undefined && failures >= rollout.failuresMax) return `${failures} runs had failed.`;
    return undefined;
  };

  const runs = createActiveRuns(owned, deps, {
    cancelReason: () => cancelReason,
    whyHeldBack,
    onEnd: count,
    leave,
    left: left.signal,
    hurry: hurry.signal,
  });

  const performBatch = async (batch: readonly RunRecord[]): Promise<void> => {
    const waiting = batch.filter((run) => !isFinalRun(run.state)).values();
    const worker = async (): Promise<void> => {
      for (const run of waiting) await runs.perform(run);
    };
    const parallel = intent instanceof RuneError ? batch.length : intent.plan.maxParallel;
    await Promise.all(Array.from({ length: Math.min(parallel, batch.length) }, worker));
  };

  const performAll = async (): Promise<void> => {
    for (const run of owned.runs) if (isFinalRun(run.state)) count(run.state);
    if (record.cancelAsked) cancel(record.cancelReason);
    const batches = rollout === undefined ? [owned.runs] : batchesOf(owned.runs, rollout);
    for (const [index, batch] of batches.entries()) {
      await performBatch(batch);
      if (index === 0 && rollout?.canary === true) canaryFailed = countOf(RunState.SUCCEEDED) === 0;
    }
    state = finalState(counts, cancelReason !== undefined);
    await recorder.event(undefined, new Date(), status(), { state, ended: true });
  };

  function cancel(reason: string): void {
    if (isFinal(state)) return;
    if (cancelReason === undefined) {
      cancelReason = reason;
      state = ExecutionState.CANCELLING;
      recorder.event(undefined, new Date(), status(), { state }).catch(leave);
      hurry.abort();
    }
    // Asked again, every mediator is told again: it may not have heard.
    runs.cancel(reason);
  }

  const finished = performAll().catch(leave);

  return {
    id: record.id,
    counts,
    get state() {
      return state;
    },
    get active() {
      return runs.count;
    },
    get queued() {
      const ended = [...counts.values()].reduce((sum, n) => sum + n, 0);
      return Math.max(0, record.runs - ended - runs.count);
    },
    cancel,
    leave,
    finished,
  };
}
