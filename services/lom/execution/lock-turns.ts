/** The runs of this process that wait for locks, each behind those that asked before it. */
export interface LockTurns {
  /** Joins those who wait for a lock. They are ordered by `askedMs`, then by `runId`, as in the store. */
  join(key: string, place: LockPlace): LockTurn;
  /** The lock may be free: the first in line asks for it. */
  wake(key: string): void;
  /** How many wait. */
  readonly waiting: number;
}

/** What gives a run its place in line. */
export interface LockPlace {
  readonly askedMs: number;
  readonly runId: string;
}

/** One run that waits. */
export interface LockTurn {
  /**
   * Resolves when the run may ask for the lock again: it is the first here and was woken or has not asked for a while, or
   * `withinMs` is over. Resolves too when the signal aborts.
   */
  next(withinMs: number, signal: AbortSignal): Promise<void>;
  /** Leaves the line, with the lock or without it. Leaving twice is harmless. */
  leave(isTaken: boolean): void;
}

interface Waiter extends LockPlace {
  isWoken: boolean;
  wake: () => void;
  /** Begins to count the time after which the first in line asks by itself. */
  beFirst: () => void;
}

const nothing = (): void => undefined;

const before = (one: LockPlace, other: LockPlace): boolean =>
  one.askedMs === other.askedMs ? one.runId < other.runId : one.askedMs < other.askedMs;

/**
 * Makes the lines. The first of each asks at least every `pollMs`: whoever released a lock elsewhere may not have been heard.
 * It alone asks, so that many who wait for one node cost no more than one.
 */
export function createLockTurns(pollMs: number): LockTurns {
  const lines = new Map<string, Waiter[]>();

  const wake = (key: string): void => {
    const first = lines.get(key)?.[0];
    if (first === undefined) return;
    first.isWoken = true;
    first.wake();
  };

  return {
    wake,
    get waiting() {
      return [...lines.values()].reduce((sum, line) => sum + line.length, 0);
    },
    join(key, place) {
      const waiter: Waiter = { ...place, isWoken: false, wake: nothing, beFirst: nothing };
      const line = lines.get(key) ?? [];
      lines.set(key, line);
      const behind = line.findIndex((other) => before(waiter, other));
      line.splice(behind === -1 ? line.length : behind, 0, waiter);

      const asleep = (withinMs: number, signal: AbortSignal): Promise<void> =>
        new Promise((resolve) => {
          let poll: NodeJS.Timeout | undefined;
          const end = setTimeout(() => waiter.wake(), withinMs);
          waiter.beFirst = () => (poll ??= setTimeout(() => waiter.wake(), pollMs));
          waiter.wake = () => {
            clearTimeout(end);
            clearTimeout(poll);
            signal.removeEventListener('abort', waiter.wake);
            waiter.wake = nothing;
            waiter.beFirst = nothing;
            resolve();
          };
          signal.addEventListener('abort', waiter.wake, { once: true });
          if (line[0] === waiter) waiter.beFirst();
        });

      return {
        async next(withinMs, signal) {
          if (!waiter.isWoken && !signal.aborted) await asleep(withinMs, signal);
          waiter.isWoken = false;
        },
        leave(isTaken) {
          const at = line.indexOf(waiter);
          if (at === -1) return;
          line.splice(at, 1);
          if (line.length === 0 && lines.get(key) === line) lines.delete(key);
          if (at > 0) return;
          line[0]?.beFirst();
          // This one may have been woken for a lock that it does not want any more.
          if (!isTaken) wake(key);
        },
      };
    },
  };
}
