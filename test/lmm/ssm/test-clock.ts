import type { Clock } from '../../../services/lmm/transports/ssm/rate-budget.js';

/** A clock that a test moves. */
export interface TestClock extends Clock {
  /** Lets so many ms pass; timers go off in their order, and what they start settles in between. */
  pass(ms: number): Promise<void>;
}

/** Makes a clock that stands at 0. */
export function createTestClock(): TestClock {
  const timers = new Set<{ readonly atMs: number; readonly call: () => void }>();
  let nowMs = 0;
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return {
    now: () => nowMs,
    after(ms, call) {
      const timer = { atMs: nowMs + ms, call };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    async pass(ms) {
      const endMs = nowMs + ms;
      await settle();
      for (;;) {
        const [next] = [...timers].filter(({ atMs }) => atMs <= endMs).toSorted((a, b) => a.atMs - b.atMs);
        if (next === undefined) break;
        timers.delete(next);
        nowMs = Math.max(nowMs, next.atMs);
        next.call();
        await settle();
      }
      nowMs = endMs;
      await settle();
    },
  };
}
