import { ERRORS, type ErrorName } from '../../shared/errors.js';
import { RunState, StopReason, type Outcome } from '../../shared/gen/rune/v1/run.js';
import { newId } from '../../shared/messages/ids.js';
import { RETRY_DELAY_MS_MAX, type RetryPlan } from '../plan/plan-retries.js';
import type { RunRecord } from '../store/store.js';

/** The next attempt of a run. */
export interface Repeat {
  readonly pauseMs: number;
  /** The plugin may have started in this one. */
  readonly mayHaveStarted: boolean;
}

/**
 * Whether another attempt of a run follows this one; undefined if none does. One of which it is certain that its plugin did not start
 * is repeated for a reason that may pass, and not where it was refused on purpose. One that may have started is repeated only for who
 * wants it at least once: where it was lost or cut off, and when nothing of it can be alive on its node any more.
 */
export function repeatOf(outcome: Outcome, attempt: number, plan: RetryPlan): Repeat | undefined {
  if (attempt > plan.max) return undefined;
  const pauseMs = Math.min(plan.delayMs * 2 ** (attempt - 1), RETRY_DELAY_MS_MAX);
  if (mayPass(outcome)) return { pauseMs, mayHaveStarted: false };
  const gone = plan.atLeastOnce ? goneInMs(outcome) : undefined;
  return gone === undefined ? undefined : { pauseMs: Math.max(pauseMs, gone), mayHaveStarted: true };
}

/** Nothing of the attempt has started, and the next one may. */
function mayPass({ state, startedAt, maySurvive, error }: Outcome): boolean {
  if (state !== RunState.FAILED || startedAt !== undefined || maySurvive) return false;
  const name = error?.errorData?.name ?? '';
  if (!Object.hasOwn(ERRORS, name)) return false;
  const { retryable, exit } = ERRORS[name as ErrorName];
  return retryable && (exit === 'NODE_UNREACHABLE' || exit === 'SERVICE_UNREACHABLE');
}

/** Not the caller, the plugin or its timeout ended it. */
const CUT_OFF = new Set<StopReason>([
  StopReason.CUT,
  StopReason.LEASE,
  StopReason.ORPHANED,
  StopReason.SHUTDOWN,
]);

/** For how long something of a lost or cut-off attempt may be alive; undefined for any other, or where nobody knows. */
function goneInMs({ state, stopReason, maySurvive, stoppedOnNodeBy }: Outcome): number | undefined {
  if (state === RunState.LOST)
    return stoppedOnNodeBy === undefined ? undefined : Math.max(0, stoppedOnNodeBy.getTime() - Date.now());
  return CUT_OFF.has(stopReason) && !maySurvive ? 0 : undefined;
}

const NOT_STARTED = new Set<RunState>([RunState.FAILED, RunState.CANCELLED, RunState.SKIPPED]);

/**
 * How a run ended, by its last attempt and, where that has not started, by the one before it that may have: what may have happened to
 * the node is not hidden by what did not.
 */
export function endOf(last: Outcome, before: Outcome | undefined): Outcome {
  const { state, startedAt, maySurvive, error } = last;
  if (before === undefined || startedAt !== undefined || maySurvive || !NOT_STARTED.has(state)) return last;
  const known = before.error?.errorData;
  if (before.error === undefined || known === undefined) return before;
  const message = `${known.message} It was not repeated: ${error?.errorData?.message ?? ''}`.trim();
  return { ...before, endedAt: new Date(), error: { ...before.error, errorData: { ...known, message } } };
}

/** The same run as it is before its next attempt is sent. Another id: whatever is left of the last attempt is not taken for it. */
export function nextAttempt(run: RunRecord, attempt: number): RunRecord {
  const unsent = { mediator: '', lmmInstanceId: '', mediatorEvent: 0, placedMs: 0, startedMs: 0 };
  return { ...run, ...unsent, runId: newId(), attempt, state: RunState.QUEUED };
}
