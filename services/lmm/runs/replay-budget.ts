/** Something that keeps bytes which it can do without. */
export interface ReplayHolder {
  /** Drops its oldest piece, and takes it off the budget. */
  dropOldest(): void;
}

/** What all runs together may keep for readers that come back. */
export interface ReplayBudget {
  /** Counts bytes that a holder keeps. Beyond the bound the holders drop their oldest pieces, each in its turn. */
  add(holder: ReplayHolder, bytes: number): void;
  /** Counts bytes that a holder does not keep any more. */
  remove(holder: ReplayHolder, bytes: number): void;
  /** Takes note of log that a holder has dropped, and whether its reader had got it. */
  dropped(logBytes: number, wasRead: boolean): void;
  /** Bytes kept by all holders. */
  readonly bytes: number;
  readonly droppedReadBytes: number;
  readonly droppedUnreadBytes: number;
}

/** Makes a budget of `bytesMax`. A holder counts at least one byte for each piece that it can drop. */
export function createReplayBudget(bytesMax: number): ReplayBudget {
  const holders = new Map<ReplayHolder, number>();
  let total = 0;
  let droppedReadBytes = 0;
  let droppedUnreadBytes = 0;

  const change = (holder: ReplayHolder, bytes: number): void => {
    total += bytes;
    const kept = (holders.get(holder) ?? 0) + bytes;
    if (kept > 0) holders.set(holder, kept);
    else holders.delete(holder);
  };

  const isOver = (): boolean => total > bytesMax;
  const dropNext = (): void => {
    for (const [holder, bytes] of holders) {
      // To the end of the line: nobody loses a second piece before everybody has lost one.
      holders.delete(holder);
      holders.set(holder, bytes);
      holder.dropOldest();
      return;
    }
  };

  return {
    add(holder, bytes) {
      if (bytes > 0) change(holder, bytes);
      while (isOver()) dropNext();
    },
    remove(holder, bytes) {
      if (bytes > 0) change(holder, -bytes);
    },
    dropped(logBytes, wasRead) {
      if (wasRead) droppedReadBytes += logBytes;
      else droppedUnreadBytes += logBytes;
    },
    get bytes() {
      return total;
    },
    get droppedReadBytes() {
      return droppedReadBytes;
    },
    get droppedUnreadBytes() {
      return droppedUnreadBytes;
    },
  };
}
