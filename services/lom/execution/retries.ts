import { durationText, toMs } from '../../shared/duration.js';
import { ERRORS, RuneError, type ErrorName } from '../../shared/errors.js';
import type { PlanExecutionRequest } from '../../shared/gen/rune/v1/lom.js';
import { RunState, type Outcome } from '../../shared/gen/rune/v1/run.js';

const DELAY_MS_MIN = 100;
const DELAY_MS_MAX = 10 * 60 * 1_000;

/** How often a run is tried again that cannot have started, and after which pause the first time. */
export interface RetryPlan {
  readonly max: number;
  readonly delayMs: number;
}

/** What a request says about retries. Throws FIELD_OUT_OF_RANGE. */
export function planRetries(
  { maxRetries, retryDelay }: Pick<PlanExecutionRequest, 'maxRetries' | 'retryDelay'>,
  settings: { readonly retriesMax: number; readonly retryDelayMs: number },
): RetryPlan {
  if (maxRetries > settings.retriesMax) {
    throw new RuneError('FIELD_OUT_OF_RANGE', 'max_retries is more than this service allows.', {
      field: 'max_retries',
      originalValue: String(maxRetries),
      expectedFormat: `0 to ${settings.retriesMax}`,
    });
  }
  const delayMs = retryDelay === undefined ? settings.retryDelayMs : toMs(retryDelay);
  if (delayMs < DELAY_MS_MIN || delayMs > DELAY_MS_MAX) {
    throw new RuneError('FIELD_OUT_OF_RANGE', 'The pause between retries is not within what is possible.', {
      field: 'retry_delay',
      originalValue: durationText(delayMs),
      expectedFormat: `${durationText(DELAY_MS_MIN)} to ${durationText(DELAY_MS_MAX)}`,
    });
  }
  return { max: maxRetries, delayMs };
}

/**
 * The pause before the next attempt of a run, in milliseconds; undefined if there is none. Only an attempt of which it is certain
 * that its plugin did not start is repeated, for a reason that may pass: never a lost one, nor one that was refused on purpose.
 */
export function retryDelayMs(
  outcome: Outcome,
  attempt: number,
  { max, delayMs }: RetryPlan,
): number | undefined {
  const { state, startedAt, maySurvive, error } = outcome;
  if (attempt > max || state !== RunState.FAILED || startedAt !== undefined || maySurvive) return undefined;
  const name = error?.errorData?.name ?? '';
  if (!Object.hasOwn(ERRORS, name)) return undefined;
  const { retryable, exit } = ERRORS[name as ErrorName];
  if (!retryable || (exit !== 'NODE_UNREACHABLE' && exit !== 'SERVICE_UNREACHABLE')) return undefined;
  return Math.min(delayMs * 2 ** (attempt - 1), DELAY_MS_MAX);
}
