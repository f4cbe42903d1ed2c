import { weighEvent } from '../../shared/messages/event-weight.js';
import type { MediateResponse } from '../../shared/gen/rune/v1/lmm.js';
import { Outcome } from '../../shared/gen/rune/v1/run.js';
import { createDroppedLog } from './dropped-log.js';
import type { LogBatch } from './log-batch.js';
import type { ReplayBudget } from './replay-budget.js';

type ToldEvent = NonNullable<MediateResponse['event']>;

/** What happens in a run. */
export type Event =
  Exclude<ToldEvent, { $case: 'log' }> | { readonly $case: 'log'; readonly value: LogBatch };

/** One event of a run, numbered from 1 in the order in which they were made. */
export interface RunEvent {
  readonly eventNo: number;
  readonly at: Date;
  readonly event: Event;
}

/** An event that others follow. */
export type PassingEvent = Exclude<Event, { $case: 'outcome' }>;

/** Bounds of what is kept of a run's log and progress. States and the outcome are few, and always kept. */
export interface KeptEventsLimits {
  /** Events that the reader has not got yet. */
  readonly unreadBytesMax: number;
  /** Events that it has got, for one that comes back. With no reader at all both together. */
  readonly replayBytesMax: number;
}

/** The events of one run as far as they are kept, and where its reader stands in them. */
export interface KeptEvents {
  /** Adds an event; `logBytes` is what the plugin printed of it. */
  add(event: PassingEvent, logBytes: number): void;
  /** Adds the last event. */
  end(outcome: Outcome): void;
  /** A reader stands behind this event, or nobody reads any more. */
  seek(afterEvent: number | undefined): void;
  /** The next event for the reader. */
  take(): RunEvent | undefined;
  /** From now on log and progress that is unread is dropped beyond its bound too, the oldest first. */
  relax(): void;
  /** Nobody will come back: gives its part of the budget to others. */
  release(): void;
  readonly unreadBytes: number;
  /** Number of the newest event. */
  readonly lastEvent: number;
  /** Size of the outcome; 0 before there is one. */
  readonly outcomeBytes: number;
}

interface Item extends RunEvent {
  readonly bytes: number;
  readonly logBytes: number;
}

/** Keeps no events yet. The outcome is kept as bytes, so that what it costs is known whatever its result holds. */
export function createKeptEvents(limits: KeptEventsLimits, budget: ReplayBudget): KeptEvents {
  const { unreadBytesMax, replayBytesMax } = limits;
  /** Log and progress. Only the oldest are ever dropped, and the reader has got those before `unreadAt`. */
  const items: Item[] = [];
  let unreadAt = 0;
  let unreadBytes = 0;
  let readBytes = 0;
  const facts: RunEvent[] = [];
  let factAt = 0;
  let outcome: { readonly eventNo: number; readonly at: Date; readonly bytes: Uint8Array } | undefined;

  const dropped = createDroppedLog();
  /** Bytes dropped just before the next batch that the reader gets. */
  let missedBytes = 0;
  /** The newest event that the reader has got, or had when it left. */
  let seenNo = 0;
  let lastNo = 0;
  let hasReader = false;
  let relaxed = false;
  let released = false;

  const holder = { dropOldest };
  const countRead = (bytes: number): void => {
    readBytes += bytes;
    if (released) return;
    if (bytes > 0) budget.add(holder, bytes);
    else budget.remove(holder, -bytes);
  };

  function dropOldest(): void {
    const oldest = items.shift();
    if (oldest === undefined) return;
    const { event, eventNo, bytes, logBytes } = oldest;
    if (unreadAt > 0) {
      unreadAt -= 1;
      countRead(-bytes);
    } else {
      unreadBytes -= bytes;
    }
    if (event.$case !== 'log') return;
    const seen = eventNo <= seenNo;
    budget.dropped(logBytes, seen);
    dropped.add({ eventNo, logBytes, announcedBytes: event.value.droppedBytes, seen });
    if (!seen) missedBytes += logBytes + event.value.droppedBytes;
  }

  const isTooMuch = (): boolean => {
    if (!hasReader) return readBytes > replayBytesMax + unreadBytesMax;
    return readBytes > replayBytesMax || (relaxed && unreadBytes > unreadBytesMax);
  };
  const trim = (): void => {
    while (isTooMuch()) dropOldest();
  };

  const takeItem = (item: Item): RunEvent => {
    const { eventNo, at, event, bytes } = item;
    const isLog = event.$case === 'log';
    const droppedBytes = isLog ? event.value.droppedBytes + missedBytes : 0;
    if (isLog) missedBytes = 0;
    unreadAt += 1;
    unreadBytes -= bytes;
    seenNo = eventNo;
    countRead(bytes);
    trim();
    if (!isLog || droppedBytes === event.value.droppedBytes) return item;
    return { eventNo, at, event: { $case: 'log', value: { ...event.value, droppedBytes } } };
  };

  const takeOutcome = (): RunEvent | undefined => {
    if (outcome === undefined || outcome.eventNo <= seenNo) return undefined;
    const { eventNo, at, bytes } = outcome;
    seenNo = eventNo;
    const value = Outcome.decode(bytes);
    value.logDroppedBytes += dropped.unseenBytes;
    return { eventNo, at, event: { $case: 'outcome', value } };
  };

  return {
    add(event, logBytes) {
      const { bytes, droppable } = weighEvent(event);
      lastNo += 1;
      const made = { eventNo: lastNo, at: new Date(), event };
      if (!droppable) {
        facts.push(made);
        return;
      }
      items.push({ ...made, bytes, logBytes });
      if (hasReader) {
        unreadBytes += bytes;
      } else {
        unreadAt = items.length;
        countRead(bytes);
      }
      trim();
    },

    end(value) {
      lastNo += 1;
      outcome = { eventNo: lastNo, at: new Date(), bytes: Outcome.encode(value).finish() };
    },

    seek(afterEvent) {
      hasReader = afterEvent !== undefined;
      const isUnread = ({ eventNo }: RunEvent): boolean => eventNo > (afterEvent ?? lastNo);
      const item = items.findIndex(isUnread);
      const fact = facts.findIndex(isUnread);
      unreadAt = item < 0 ? items.length : item;
      factAt = fact < 0 ? facts.length : fact;
      const keptBytes = readBytes + unreadBytes;
      unreadBytes = items.slice(unreadAt).reduce((sum, { bytes }) => sum + bytes, 0);
      if (afterEvent !== undefined) {
        seenNo = afterEvent;
        missedBytes = dropped.missedAfter(afterEvent);
      }
      countRead(keptBytes - unreadBytes - readBytes);
      trim();
    },

    take() {
      const item = items[unreadAt];
      const fact = facts[factAt];
      if (fact !== undefined && (item === undefined || fact.eventNo < item.eventNo)) {
        factAt += 1;
        seenNo = fact.eventNo;
        return fact;
      }
      return item === undefined ? takeOutcome() : takeItem(item);
    },

    relax() {
      relaxed = true;
      trim();
    },

    release() {
      if (!released) budget.remove(holder, readBytes);
      released = true;
    },

    get unreadBytes() {
      return unreadBytes;
    },
    get lastEvent() {
      return lastNo;
    },
    get outcomeBytes() {
      return outcome?.bytes.length ?? 0;
    },
  };
}
