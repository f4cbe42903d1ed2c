const LOOK_MS = 250;

/**
 * Calls `onStandstill` whenever this process had no turn for `limitMs` or longer, and answers how to stop. Then others had none
 * either: the machine had more to do than it can, and limits of nodes and mediator passed without anybody's fault.
 */
export function watchStandstill(limitMs: number, onStandstill: (ms: number) => void): () => void {
  let beforeMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    const stoodMs = nowMs - beforeMs - LOOK_MS;
    beforeMs = nowMs;
    if (stoodMs >= limitMs) onStandstill(Math.round(stoodMs));
  }, LOOK_MS);
  return () => clearInterval(timer);
}
