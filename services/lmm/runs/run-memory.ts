import { idTimeMs } from '../../shared/messages/ids.js';

/** What is remembered of a run id whose events are not kept. */
export interface RememberedRun {
  /** The highest owner epoch that was seen with it. */
  readonly ownerEpoch: number;
  /** It was started here; otherwise somebody was told that it never was. */
  readonly started: boolean;
}

/** Remembers run ids within a bound, and what can still be said of those that it has forgotten. */
export interface RunMemory {
  find(runId: string): RememberedRun | undefined;
  /** Beyond the bound the id that was not heard of for longest is forgotten. */
  remember(runId: string, run: RememberedRun): void;
  /** The id is kept elsewhere from now on. */
  take(runId: string): void;
  /** Of an id that is not remembered: it certainly was never remembered. */
  isNew(runId: string): boolean;
  /** Of an id that is not remembered: a start that was long under way could bring it back. */
  isStale(runId: string): boolean;
}

/** Makes a RunMemory of `idsMax` ids. It uses that ids of version 7 tell when they were made. */
export function createRunMemory(idsMax: number, now: () => number = Date.now): RunMemory {
  const runs = new Map<string, RememberedRun & { readonly seenMs: number }>();
  let hasForgotten = false;
  /** Every forgotten id of version 7 was made at this time or before, … */
  let newestMs = 0;
  /** … and at this one if its maker's clock was right. A wrong clock must not keep everybody else from starting runs. */
  let newestStaleMs = 0;

  const forget = (runId: string, seenMs: number): void => {
    runs.delete(runId);
    hasForgotten = true;
    const madeMs = idTimeMs(runId);
    if (madeMs === undefined) return;
    newestMs = Math.max(newestMs, madeMs);
    newestStaleMs = Math.max(newestStaleMs, Math.min(madeMs, seenMs));
  };

  return {
    find: (runId) => runs.get(runId),
    remember(runId, run) {
      runs.delete(runId);
      runs.set(runId, { ...run, seenMs: now() });
      const [oldest] = runs;
      if (runs.size > idsMax && oldest !== undefined) forget(oldest[0], oldest[1].seenMs);
    },
    take: (runId) => void runs.delete(runId),
    isNew(runId) {
      if (!hasForgotten) return true;
      const madeMs = idTimeMs(runId);
      return madeMs !== undefined && madeMs > newestMs;
    },
    isStale(runId) {
      const madeMs = idTimeMs(runId);
      return madeMs !== undefined && madeMs <= newestStaleMs;
    },
  };
}
