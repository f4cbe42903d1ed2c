import { setMaxListeners } from 'node:events';

/**
 * Waits for `promise`, but not past the abort of `signal`: then it rejects with the signal's reason and the promise is left
 * to itself. A generator that awaits something that may never settle needs it, because only its own code can reach its
 * `finally`. Give it a promise of its own: one that never settles and is shared holds on to everybody who ever waited.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    // One signal may end any number of waits; each takes its listener away again.
    setMaxListeners(0, signal);
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
