import { RuneError } from '../../shared/errors.js';
import type { Outcome } from '../../shared/gen/rune/v1/run.js';
import { createKeptEvents, type KeptEventsLimits, type PassingEvent, type RunEvent } from './kept-events.js';
import type { ReplayBudget } from './replay-budget.js';

/** The events of one run, for one reader at a time. */
export interface EventLog {
  /**
   * Adds an event; `logBytes` is what the plugin printed of it. Returns a promise when the reader is too far behind: it settles
   * when there is room again, so that the node can be held back. With no reader, or once relaxed, the oldest log and progress is
   * dropped instead, and nobody waits. After the outcome nothing is added: a reader that comes later would take it for the end.
   */
  push(event: PassingEvent, logBytes?: number): Promise<void> | undefined;
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
  /** Log and progress that the reader has not got yet. */
  readonly unreadBytes: number;
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

const nothing = (): void => undefined;

/** Makes an EventLog. A reader may be behind by `unreadBytesMax` before the node is held back. */
export function createEventLog(limits: KeptEventsLimits, budget: ReplayBudget, watch: ReaderWatch): EventLog {
  const { unreadBytesMax } = limits;
  const events = createKeptEvents(limits, budget);
  let reader: { wake: () => void } | undefined;
  let relaxed = false;
  let ended = false;
  let delivered = false;
  let room: { readonly promise: Promise<void>; readonly settle: () => void } | undefined;

  const makeRoom = (): void => {
    room?.settle();
    room = undefined;
  };
  const makeRoomIfRead = (): void => {
    if (events.unreadBytes < unreadBytesMax / 2) makeRoom();
  };

  return {
    push(event, logBytes = 0) {
      if (ended) return undefined;
      events.add(event, logBytes);
      reader?.wake();
      if (reader === undefined || relaxed || events.unreadBytes < unreadBytesMax) return undefined;
      if (room === undefined) {
        let settle = nothing;
        const promise = new Promise<void>((resolve) => (settle = resolve));
        room = { promise, settle };
      }
      return room.promise;
    },

    relax() {
      relaxed = true;
      events.relax();
      makeRoom();
    },

    end(outcome) {
      ended = true;
      events.end(outcome);
      makeRoom();
      reader?.wake();
    },

    checkPosition(afterEvent) {
      if (afterEvent <= events.lastEvent) return;
      throw new RuneError('FIELD_OUT_OF_RANGE', 'The run has no such event.', {
        field: 'attach.after_event',
        originalValue: String(afterEvent),
        expectedFormat: `0 to ${events.lastEvent}`,
      });
    },

    async *read(afterEvent, signal) {
      const self = { wake: nothing };
      const wake = (): void => self.wake();
      const before = reader;
      reader = self;
      if (before === undefined) watch.attached();
      else before.wake();
      events.seek(afterEvent);
      makeRoomIfRead();
      signal.addEventListener('abort', wake);
      try {
        while (!signal.aborted) {
          if (reader !== self) {
            throw new RuneError('READER_REPLACED', 'Another reader has attached to this run.');
          }
          const next = events.take();
          if (next !== undefined) {
            makeRoomIfRead();
            yield next;
            if (next.event.$case === 'outcome') delivered = true;
            continue;
          }
          if (ended) return;
          await new Promise<void>((resolve) => (self.wake = resolve));
        }
      } finally {
        signal.removeEventListener('abort', wake);
        if (reader === self) {
          reader = undefined;
          events.seek(undefined);
          makeRoom();
          watch.left();
        }
      }
    },

    release: events.release,
    get attached() {
      return reader !== undefined;
    },
    get lastEvent() {
      return events.lastEvent;
    },
    get unreadBytes() {
      return events.unreadBytes;
    },
    get delivered() {
      return delivered;
    },
    get outcomeBytes() {
      return events.outcomeBytes;
    },
  };
}
