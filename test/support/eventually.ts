import { setTimeout as wait } from 'node:timers/promises';

const POLL_MS = 10;
/** Far beyond what a busy machine needs: it is there for what never happens. */
const TIMEOUT_MS = 20_000;

/**
 * Polls until `check` neither throws nor answers false, and resolves with its answer. Rejects after `timeoutMs` with the label
 * and the last thing that was thrown.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  options: { readonly label: string; readonly timeoutMs?: number; readonly pauseMs?: number },
): Promise<Exclude<T, false>> {
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const answer = await check();
      if (answer !== false) return answer as Exclude<T, false>;
    } catch (error) {
      last = error;
    }
    if (performance.now() >= deadline) {
      // In the message too: a cause does not come through from the worker of a parallel run.
      const why = last instanceof Error ? `: ${last.message}` : '';
      throw new Error(`Waited ${timeoutMs} ms for ${options.label}${why}`, { cause: last });
    }
    await wait(options.pauseMs ?? POLL_MS);
  }
}
