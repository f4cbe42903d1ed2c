/** Tells those who look at executions that something was recorded. */
export interface WatchHub {
  /** From now on, no change of the execution is missed by `changed`. */
  subscribe(executionId: string): Subscription;
  notify(executionId: string): void;
  /** Ends every wait with this error, also those that begin later. */
  close(error: Error): void;
}

/** One who looks at an execution. */
export interface Subscription {
  /**
   * Resolves once something changed since it last resolved, or after `timeoutMs`. Rejects when the signal aborts, or with the
   * error of a hub that is closed once nothing is new.
   */
  changed(timeoutMs: number, signal: AbortSignal): Promise<void>;
  end(): void;
}

/** Makes a hub. */
export function createWatchHub(): WatchHub {
  const subscriptions = new Map<string, Set<() => void>>();
  let closed: Error | undefined;

  return {
    subscribe(executionId) {
      let dirty = false;
      let wake: (() => void) | undefined;
      const notice = (): void => {
        dirty = true;
        wake?.();
      };
      const all = subscriptions.get(executionId) ?? new Set();
      subscriptions.set(executionId, all.add(notice));
      return {
        async changed(timeoutMs, signal) {
          if (!dirty && closed === undefined && !signal.aborted) {
            await new Promise<void>((resolve) => {
              const timer = setTimeout(resolve, timeoutMs);
              wake = () => {
                clearTimeout(timer);
                resolve();
              };
              signal.addEventListener('abort', wake, { once: true });
            });
            if (wake !== undefined) signal.removeEventListener('abort', wake);
            wake = undefined;
          }
          signal.throwIfAborted();
          // What was recorded before the hub was closed is still to be seen.
          if (!dirty && closed !== undefined) throw closed;
          dirty = false;
        },
        end() {
          all.delete(notice);
          if (all.size === 0 && subscriptions.get(executionId) === all) subscriptions.delete(executionId);
        },
      };
    },
    notify(executionId) {
      for (const notice of subscriptions.get(executionId) ?? []) notice();
    },
    close(error) {
      closed = error;
      for (const all of subscriptions.values()) for (const notice of all) notice();
    },
  };
}
