/**
 * A shared allowance of requests: a bucket of tokens that fills at a rate. Each throttled request lowers the rate by one a second, and
 * time raises it again, so that it settles where the service takes what it is asked but for a fifth of the full rate at most.
 */
export interface RateBudget {
  /** Resolves when the next request may be made, in the order of asking. Rejects with the signal's reason. */
  take(signal?: AbortSignal): Promise<void>;
  /** The service throttled a request. */
  throttled(): void;
  /** Requests a second at present. */
  readonly perSecond: number;
  /** Requests that wait for their turn. */
  readonly waiting: number;
}

/** A clock and its timers, so that tests need not wait. */
export interface Clock {
  now(): number;
  /** Calls back after so many ms, unless the answer is called before. */
  after(ms: number, call: () => void): () => void;
}

/** The clock of this machine. */
export const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  after(ms, call) {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};

const PER_SECOND_MIN = 0.5;
/** Part of the full rate that comes back each second: as large a part may be throttled at random and slows nothing down. */
const RECOVERY_PER_SECOND = 0.2;

/** Makes a full budget: at most `perSecondMax` requests a second, and as many at once. */
export function createRateBudget(perSecondMax: number, clock: Clock): RateBudget {
  const waiting = new Set<() => void>();
  let rate = perSecondMax;
  let tokens = perSecondMax;
  let atMs = clock.now();
  let stopTimer: (() => void) | undefined;

  const fill = (): void => {
    const passed = (clock.now() - atMs) / 1000;
    atMs += passed * 1000;
    rate = Math.min(perSecondMax, rate + passed * RECOVERY_PER_SECOND * perSecondMax);
    tokens = Math.min(rate, tokens + passed * rate);
  };

  const serve = (): void => {
    stopTimer?.();
    stopTimer = undefined;
    fill();
    for (const go of waiting) {
      // The lowest rates never hold a whole token.
      if (tokens < Math.min(1, rate)) break;
      tokens -= 1;
      waiting.delete(go);
      go();
    }
    if (waiting.size === 0) return;
    const missing = Math.min(1, rate) - tokens;
    stopTimer = clock.after(Math.max(1, Math.ceil((missing / rate) * 1000)), serve);
  };

  return {
    take(signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted === true) {
          reject(signal.reason as Error);
          return;
        }
        const onAbort = (): void => {
          waiting.delete(go);
          reject(signal?.reason as Error);
        };
        const go = (): void => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        waiting.add(go);
        serve();
      });
    },
    throttled() {
      fill();
      rate = Math.max(Math.min(PER_SECOND_MIN, perSecondMax), rate - 1);
      tokens = Math.min(tokens, rate);
    },
    get waiting() {
      return waiting.size;
    },
    get perSecond() {
      fill();
      return rate;
    },
  };
}
