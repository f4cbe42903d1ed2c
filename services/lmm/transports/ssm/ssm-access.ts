import { createCommandWatch, type CommandWatch, type WatchSettings } from './command-watch.js';
import { createLimiter, type Limiter } from '../limiter.js';
import { createRateBudget, type Clock, type RateBudget } from './rate-budget.js';
import { SsmFault, type SsmApi } from './ssm-api.js';

/** Systems Manager in one region as one identity, with all that its runs share. */
export interface SsmAccess {
  readonly api: SsmApi;
  readonly budget: RateBudget;
  readonly watch: CommandWatch;
  /** Each output that is being read from its bucket is in memory. */
  readonly downloads: Limiter;
  /**
   * A call that may be repeated: it waits for its turn, and what fails but for a refusal is tried again until the signal aborts. Throws
   * the last SsmFault, or the signal's reason if there was none.
   */
  read<Answer>(call: (api: SsmApi) => Promise<Answer>, signal: AbortSignal): Promise<Answer>;
  close(): void;
}

/** What accesses are made with. */
export interface AccessOptions {
  readonly api: SsmApi;
  readonly requestsPerSecond: number;
  readonly watch: WatchSettings;
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
}

const DOWNLOADS_MAX = 4;
const RETRY_MS = 200;
const RETRY_MS_MAX = 5_000;

/** Makes an access. */
export function createSsmAccess(options: AccessOptions): SsmAccess {
  const { api, clock, random } = options;
  const budget = createRateBudget(options.requestsPerSecond, clock);

  const read: SsmAccess['read'] = async (call, signal) => {
    let pauseMs = RETRY_MS;
    let fault: SsmFault | undefined;
    for (;;) {
      try {
        await budget.take(signal);
        return await call(api);
      } catch (thrown) {
        if (!(thrown instanceof SsmFault)) throw fault ?? thrown;
        if (thrown.kind === 'refused') throw thrown;
        if (thrown.kind === 'throttled') budget.throttled();
        fault = thrown;
      }
      await pause(clock, pauseMs * (0.5 + random()), signal).catch(() => {
        throw fault;
      });
      pauseMs = Math.min(pauseMs * 2, RETRY_MS_MAX);
    }
  };

  const watch = createCommandWatch({ read, clock, random, settings: options.watch });
  return {
    api,
    budget,
    watch,
    downloads: createLimiter(DOWNLOADS_MAX),
    read,
    close() {
      watch.close();
      api.close();
    },
  };
}

/** Settles after so many ms; rejects with the signal's reason. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      stop();
      reject(signal.reason as Error);
    };
    const stop = clock.after(ms, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
