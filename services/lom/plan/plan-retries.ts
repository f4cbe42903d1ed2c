import { RuneError } from '../../shared/errors.js';
import type { Action } from '../../shared/bundle/action.js';
import type { PlanExecutionRequest } from '../../shared/gen/rune/v1/lom.js';
import { DeliveryMode } from '../../shared/gen/rune/v1/rcs.js';
import { durationText, toMs } from '../../shared/messages/duration.js';

const DELAY_MS_MIN = 100;
/** The longest pause between two attempts. */
export const RETRY_DELAY_MS_MAX = 10 * 60 * 1_000;
/** Who wants a run at least once and does not say how often it may be tried again. */
const AT_LEAST_ONCE_RETRIES = 3;

/** How often a run is tried again, and after which pause the first time. */
export interface RetryPlan {
  readonly max: number;
  /** Also one that may have started. */
  readonly atLeastOnce: boolean;
  readonly delayMs: number;
}

/** What a request says about retries. Throws FIELD_OUT_OF_RANGE and ACTION_NOT_IDEMPOTENT. */
export function planRetries(
  { header, maxRetries, retryDelay }: Pick<PlanExecutionRequest, 'header' | 'maxRetries' | 'retryDelay'>,
  { capability: { action, idempotent } }: Action,
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
  if (delayMs < DELAY_MS_MIN || delayMs > RETRY_DELAY_MS_MAX) {
    throw new RuneError('FIELD_OUT_OF_RANGE', 'The pause between retries is not within what is possible.', {
      field: 'retry_delay',
      originalValue: durationText(delayMs),
      expectedFormat: `${durationText(DELAY_MS_MIN)} to ${durationText(RETRY_DELAY_MS_MAX)}`,
    });
  }
  const atLeastOnce = header?.messageMetadata?.deliveryMode === DeliveryMode.AT_LEAST_ONCE;
  if (atLeastOnce && !idempotent) {
    const message = `${action} was asked for at least once, and its manifest does not say that it may run twice.`;
    const field = 'header.message_metadata.delivery_mode';
    throw new RuneError('ACTION_NOT_IDEMPOTENT', message, { action, field });
  }
  const wanted = atLeastOnce ? maxRetries || AT_LEAST_ONCE_RETRIES : maxRetries;
  return { max: Math.min(wanted, settings.retriesMax), delayMs, atLeastOnce };
}
