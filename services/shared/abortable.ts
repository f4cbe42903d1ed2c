/**
 * Waits for `promise`, but not past the abort of `signal`: then it rejects with the signal's reason and the promise is left
 * to itself. A generator that awaits something that may never settle needs it, because only its own code can reach its
 * `finally`.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
