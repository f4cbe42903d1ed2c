/** Lets at most `max` holders in at once; the others wait in order. */
export interface Limiter {
  /**
   * Calls `enter` when there is room: at once, before this returns, if there is room now. The answer gives the place up, or
   * the wait for it; calling it again is harmless.
   */
  take(enter: () => void): () => void;
}

/** Makes a limiter. The queue is as long as there are callers: bound those. */
export function createLimiter(max: number): Limiter {
  const waiting = new Set<() => void>();
  let held = 0;
  const admit = (enter: () => void): void => {
    waiting.delete(enter);
    held += 1;
    enter();
  };
  return {
    take(callback) {
      let inside = false;
      let done = false;
      const enter = (): void => {
        inside = true;
        callback();
      };
      if (held < max) admit(enter);
      else waiting.add(enter);
      return () => {
        if (done) return;
        done = true;
        waiting.delete(enter);
        if (!inside) return;
        held -= 1;
        const [next] = waiting;
        if (next) admit(next);
      };
    },
  };
}
