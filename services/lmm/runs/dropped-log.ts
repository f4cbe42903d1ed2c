/** Drops that are told apart. Older ones are added up, so that a reader that missed some of them is told of all. */
const DROPS_MAX = 512;

/** A batch of log that is not kept any more. */
export interface DroppedBatch {
  readonly eventNo: number;
  /** What the plugin printed of it. */
  readonly logBytes: number;
  /** What it would have said was dropped before it. */
  readonly announcedBytes: number;
  /** The reader has got it, or had when it left. */
  readonly seen: boolean;
}

/** Counts the log of a run that is not kept any more, for readers that may or may not have got it. */
export interface DroppedLog {
  /** Takes note of a batch. Batches are dropped in the order of their numbers. */
  add(batch: DroppedBatch): void;
  /** Bytes that a reader misses who has everything up to this event. From now on they count as seen by nobody. */
  missedAfter(eventNo: number): number;
  /** Bytes printed that nobody has seen. */
  readonly unseenBytes: number;
}

interface Drop {
  /** Number of the newest event in it. */
  eventNo: number;
  logBytes: number;
  announcedBytes: number;
  /** Of the logBytes. */
  unseenBytes: number;
}

const join = (older: Drop, newer: Drop): Drop => ({
  eventNo: newer.eventNo,
  logBytes: older.logBytes + newer.logBytes,
  announcedBytes: older.announcedBytes + newer.announcedBytes,
  unseenBytes: older.unseenBytes + newer.unseenBytes,
});

/** Makes a DroppedLog for one run. */
export function createDroppedLog(): DroppedLog {
  let drops: Drop[] = [];
  let unseenBytes = 0;

  return {
    add({ eventNo, logBytes, announcedBytes, seen }) {
      const drop = { eventNo, logBytes, announcedBytes, unseenBytes: seen ? 0 : logBytes };
      unseenBytes += drop.unseenBytes;
      const last = drops.at(-1);
      // No reader can come back to between two events that nobody was sent.
      if (last !== undefined && !seen && last.unseenBytes === last.logBytes) {
        drops[drops.length - 1] = join(last, drop);
        return;
      }
      drops.push(drop);
      if (drops.length < 2 * DROPS_MAX) return;
      drops = [drops.slice(0, DROPS_MAX).reduce(join), ...drops.slice(DROPS_MAX)];
    },
    missedAfter(eventNo) {
      let missedBytes = 0;
      for (const drop of drops) {
        if (drop.eventNo <= eventNo) continue;
        missedBytes += drop.logBytes + drop.announcedBytes;
        unseenBytes += drop.logBytes - drop.unseenBytes;
        drop.unseenBytes = drop.logBytes;
      }
      return missedBytes;
    },
    get unseenBytes() {
      return unseenBytes;
    },
  };
}
