import { RuneError } from '../shared/errors.js';
import { weighEvent } from '../shared/event-weight.js';
import type { MediateResponse } from '../shared/gen/rune/v1/lmm.js';
import { Outcome } from '../shared/gen/rune/v1/run.js';
import { createDroppedLog } from './dropped-log.js';
import type { ReplayBudget } from './replay-budget.js';

type Event = NonNullable<MediateResponse['event']>;

/** One event of a run, numbered from 1 in the order in which they were made. */
export interface RunEvent {
  readonly eventNo: number;
  readonly at: Date;
  readonly event: Event;
}

/** Bounds of what is kept of a run's log and progress. States and the outcome are few, and always kept. */
export interface EventLogLimits {
  /** Events that the reader has not got yet; beyond this the node is held back. */
  readonly unreadBytesMax: number;
  /** Events that it has got, for one that comes back. With no reader at all both together. */
  readonly replayBytesMax: number;
}

/** The events of one run, for one reader at a time. */
export interface EventLog {
  /**
   * Adds an event; `logBytes` is what the plugin printed of it. Returns a promise when the reader is too far behind: it settles
   * when there is room again, so that the node can be held back. With no reader, or once relaxed, the oldest log and progress is
   * dropped instead, and nobody waits.
   */
  push(event: Exclude<Event, { $case: 'outcome' }>, logBytes?: number): Promise<void> | undefined;
  /** From now on nobody is kept waiting: the node must not be held back any longer. */
  relax(): void;
  /** Adds the last event. */
  end(outcome: Outcome): void;
  /** Throws FIELD_OUT_OF_RANGE for a number beyond the newest event. */
  checkPosition(afterEvent: number): void;
  /**
   * Yields every event that is kept and has a higher number, then those that follow, until the outcome or until the signal
   * aborts. The reader before this one ends with READER_REPLACED.
   */
  read(afterEvent: number, signal: AbortSignal): AsyncGenerator<RunEvent, void, undefined>;
  /** Nobody will come back: gives its part of the budget to others. */
  release(): void;
  readonly attached: boolean;
  readonly lastEvent: number;
  /** A reader has got the outcome. */
  readonly delivered: boolean;
  /** Size of the outcome; 0 before there is one. */
  readonly outcomeBytes: number;
}

/** Hears when a run gets a reader where it had none, and when it has none any more. */
export interface ReaderWatch {
  attached(): void;
  left(): void;
}

interface KeptEvent extends RunEvent {
  readonly bytes: number;
  readonly logBytes: number;
}

interface Reader {
  wake: () => void;
}

const nothing = (): void => undefined;

/** Makes an EventLog. The outcome is kept as bytes, so that what it costs is known whatever its result holds. */
export function createEventLog(limits: EventLogLimits, budget: ReplayBudget, watch: ReaderWatch): EventLog {
  const { unreadBytesMax, replayBytesMax } = limits;
  /** Log and progress. Only the oldest are dropped, and the reader has got all before `unreadAt`. */
  const items: KeptEvent[] = [];
  let unreadAt = 0;
  let unreadBytes = 0;
  let readBytes = 0;
  const facts: KeptEvent[] = [];
  let factAt = 0;
  let outcome: { readonly eventNo: number; readonly at: Date; readonly bytes: Uint8Array } | undefined;
  let delivered = false;

  const dropped = createDroppedLog();
  /** Bytes dropped just before the next batch that the reader gets. */
  let missedBytes = 0;
  /** The newest event that the reader has got, or had when it left. */
  let seenNo = 0;
  let lastNo = 0;

  let reader: Reader | undefined;
  let relaxed = false;
  let released = false;
  let room: { readonly promise: Promise<void>; readonly settle: () => void } | undefined;

  const makeRoom = (): void => {
    room?.settle();
    room = undefined;
  };

  const holder = { dropOldest };
  const keepRead = (bytes: number): void => {
    readBytes += bytes;
    if (!released) budget.add(holder, bytes);
  };
  const giveBack = (bytes: number): void => {
    readBytes -= bytes;
    if (!released) budget.remove(holder, bytes);
  };

  function dropOldest(): void {
    const oldest = items.shift();
    if (oldest === undefined) return;
    const { event, eventNo, bytes, logBytes } = oldest;
    if (unreadAt > 0) {
      unreadAt -= 1;
      giveBack(bytes);
    } else {
      unreadBytes -= bytes;
    }
    if (event.$case !== 'log') return;
    const seen = eventNo <= seenNo;
    dropped.add({ eventNo, logBytes, announcedBytes: event.value.droppedBytes, seen });
    if (!seen) missedBytes += logBytes + event.value.droppedBytes;
  }

  const trim = (): void => {
    if (reader === undefined) {
      while (readBytes > replayBytesMax + unreadBytesMax) dropOldest();
      return;
    }
    while (readBytes > replayBytesMax) dropOldest();
    while (relaxed && unreadBytes > unreadBytesMax) dropOldest();
  };

  /** Divides what is kept into what a reader has and what it has not. */
  const seek = (afterEvent: number): void => {
    const found = items.findIndex(({ eventNo }) => eventNo > afterEvent);
    unreadAt = found < 0 ? items.length : found;
    unreadBytes = items.slice(unreadAt).reduce((sum, { bytes }) => sum + bytes, 0);
    const fact = facts.findIndex(({ eventNo }) => eventNo > afterEvent);
    factAt = fact < 0 ? facts.length : fact;
  };

  const attach = (next: Reader, afterEvent: number): void => {
    const keptBytes = readBytes + unreadBytes;
    const before = reader;
    reader = next;
    if (before === undefined) watch.attached();
    else before.wake();
    seek(afterEvent);
    const nowRead = keptBytes - unreadBytes;
    if (nowRead > readBytes) keepRead(nowRead - readBytes);
    else giveBack(readBytes - nowRead);
    seenNo = afterEvent;
    missedBytes = dropped.missedAfter(afterEvent);
    if (unreadBytes < unreadBytesMax / 2) makeRoom();
    trim();
  };

  const detach = (): void => {
    reader = undefined;
    const bytes = unreadBytes;
    unreadAt = items.length;
    unreadBytes = 0;
    makeRoom();
    keepRead(bytes);
    trim();
    watch.left();
  };

  const takeItem = (item: KeptEvent): RunEvent => {
    unreadAt += 1;
    unreadBytes -= item.bytes;
    seenNo = item.eventNo;
    keepRead(item.bytes);
    trim();
    if (unreadBytes < unreadBytesMax / 2) makeRoom();
    const { eventNo, at, event } = item;
    if (event.$case !== 'log' || missedBytes === 0) return item;
    const value = { ...event.value, droppedBytes: event.value.droppedBytes + missedBytes };
    missedBytes = 0;
    return { eventNo, at, event: { $case: 'log', value } };
  };

  /** The next event for the reader: items and facts in the order of their numbers, then the outcome. */
  const take = (): RunEvent | undefined => {
    const item = items[unreadAt];
    const fact = facts[factAt];
    if (fact !== undefined && (item === undefined || fact.eventNo < item.eventNo)) {
      factAt += 1;
      seenNo = fact.eventNo;
      return fact;
    }
    if (item !== undefined) return takeItem(item);
    if (outcome === undefined || outcome.eventNo <= seenNo) return undefined;
    seenNo = outcome.eventNo;
    const value = Outcome.decode(outcome.bytes);
    value.logDroppedBytes += dropped.unseenBytes;
    return { eventNo: outcome.eventNo, at: outcome.at, event: { $case: 'outcome', value } };
  };

  return {
    push(event, logBytes = 0) {
      const { bytes, droppable } = weighEvent(event);
      lastNo += 1;
      const kept = { eventNo: lastNo, at: new Date(), event, bytes, logBytes };
      if (!droppable) {
        facts.push(kept);
        if (reader === undefined) factAt = facts.length;
      } else {
        items.push(kept);
        if (reader === undefined) {
          unreadAt = items.length;
          keepRead(bytes);
        } else {
          unreadBytes += bytes;
        }
        trim();
      }
      reader?.wake();
      if (reader === undefined || relaxed || unreadBytes < unreadBytesMax) return undefined;
      if (room === undefined) {
        let settle = nothing;
        const promise = new Promise<void>((resolve) => (settle = resolve));
        room = { promise, settle };
      }
      return room.promise;
    },

    relax() {
      relaxed = true;
      makeRoom();
    },

    end(value) {
      lastNo += 1;
      outcome = { eventNo: lastNo, at: new Date(), bytes: Outcome.encode(value).finish() };
      makeRoom();
      reader?.wake();
    },

    checkPosition(afterEvent) {
      if (afterEvent <= lastNo) return;
      throw new RuneError('FIELD_OUT_OF_RANGE', 'The run has no such event.', {
        field: 'attach.after_event',
        originalValue: String(afterEvent),
        expectedFormat: `0 to ${lastNo}`,
      });
    },

    async *read(afterEvent, signal) {
      const self: Reader = { wake: nothing };
      const wake = (): void => self.wake();
      signal.addEventListener('abort', wake);
      attach(self, afterEvent);
      try {
        while (!signal.aborted) {
          if (reader !== self) {
            throw new RuneError('READER_REPLACED', 'Another reader has attached to this run.');
          }
          const next = take();
          if (next !== undefined) {
            yield next;
            if (next.event.$case === 'outcome') delivered = true;
            continue;
          }
          if (outcome !== undefined) return;
          await new Promise<void>((resolve) => (self.wake = resolve));
        }
      } finally {
        signal.removeEventListener('abort', wake);
        if (reader === self) detach();
      }
    },

    release() {
      if (released) return;
      budget.remove(holder, readBytes);
      released = true;
    },

    get attached() {
      return reader !== undefined;
    },
    get lastEvent() {
      return lastNo;
    },
    get delivered() {
      return delivered;
    },
    get outcomeBytes() {
      return outcome?.bytes.length ?? 0;
    },
  };
}
