/** Tells who listens that executions changed. */
export interface Changes {
  onChange(listener: (executionId: string) => void): void;
  /** These were changed by a commit here: other processes hear of it. */
  committed(executionIds: Iterable<string>): void;
  /** Somebody asked for something here: everybody hears of it. */
  asked(executionId: string): void;
  onRelease(listener: (lockKey: string) => void): void;
  /** These locks were released here: everybody hears of it. */
  released(lockKeys: readonly string[]): void;
  close(): Promise<void>;
}

/** For a store that one process has. */
export function localChanges(): Changes {
  const listeners: ((executionId: string) => void)[] = [];
  const waiters: ((lockKey: string) => void)[] = [];
  return {
    onChange: (listener) => void listeners.push(listener),
    committed: () => undefined,
    asked(executionId) {
      for (const listener of listeners) listener(executionId);
    },
    onRelease: (listener) => void waiters.push(listener),
    released(lockKeys) {
      for (const key of lockKeys) for (const listener of waiters) listener(key);
    },
    close: () => Promise.resolve(),
  };
}
