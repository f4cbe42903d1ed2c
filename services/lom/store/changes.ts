/** Tells who listens that executions changed. */
export interface Changes {
  onChange(listener: (executionId: string) => void): void;
  /** These were changed by a commit here: other processes hear of it. */
  committed(executionIds: Iterable<string>): void;
  /** Somebody asked for something here: everybody hears of it. */
  asked(executionId: string): void;
  close(): Promise<void>;
}

/** For a store that one process has. */
export function localChanges(): Changes {
  const listeners: ((executionId: string) => void)[] = [];
  return {
    onChange: (listener) => void listeners.push(listener),
    committed: () => undefined,
    asked(executionId) {
      for (const listener of listeners) listener(executionId);
    },
    close: () => Promise.resolve(),
  };
}
