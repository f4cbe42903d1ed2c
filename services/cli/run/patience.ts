import { setTimeout as delay } from 'node:timers/promises';
import type { ErrorName, RuneError } from '../../shared/errors.js';

/**
 * What a call ends with when its service was lost and may come back, or another takes its place. CALL_CANCELLED: a server that is
 * forced down resets its calls with that word; those that we cancel ourselves are never tried again.
 */
const LOST: ReadonlySet<ErrorName> = new Set([
  'SERVICE_UNREACHABLE',
  'SERVICE_SHUTTING_DOWN',
  'STORE_UNAVAILABLE',
  'READER_TOO_SLOW',
  'CALL_DEADLINE_EXCEEDED',
  'CALL_CANCELLED',
]);
/** Pauses between tries: the first, and the longest. */
const PAUSE_MS = 100;
const PAUSE_MS_MAX = 2_000;

/** Whether the error tells nothing but that the service is away: it may have got the call, and may answer the next one. */
export function isLost(error: RuneError): boolean {
  return LOST.has(error.name);
}

/** Decides how long a call to a service that was lost is tried again. */
export interface Patience {
  /** Waits for the next try; false if there shall be none: for this error, after so long, or because the signal aborted. */
  tryAgain(error: RuneError): Promise<boolean>;
  /** The service has answered: what is lost from now on is a new outage. */
  answered(): void;
}

/** Patience for `forMs` without an answer. Nothing is tried again where that is 0. `tell` hears of each outage once. */
export function createPatience(options: {
  readonly forMs: number;
  readonly signal: AbortSignal;
  tell?(error: RuneError): Promise<void>;
}): Patience {
  const { forMs, signal, tell } = options;
  let lostAtMs: number | undefined;
  let pauseMs = PAUSE_MS;
  return {
    async tryAgain(error) {
      if (signal.aborted || forMs === 0 || !isLost(error)) return false;
      const nowMs = performance.now();
      if (lostAtMs === undefined) {
        lostAtMs = nowMs;
        await tell?.(error);
      }
      const leftMs = lostAtMs + forMs - nowMs;
      if (leftMs <= 0) return false;
      // Not all at once: whoever watched the same service has lost it at the same moment.
      const wait = Math.min(leftMs, pauseMs * (0.5 + Math.random() / 2));
      pauseMs = Math.min(PAUSE_MS_MAX, pauseMs * 2);
      return delay(wait, true, { signal }).catch(() => false);
    },
    answered() {
      lostAtMs = undefined;
      pauseMs = PAUSE_MS;
    },
  };
}
