/** What one event costs and whether it may be dropped when nobody reads. */
export interface EventWeight {
  readonly bytes: number;
  readonly droppable: boolean;
}

/** A bounded queue between one producer and at most one reader. */
export interface EventQueue<T> {
  /**
   * Adds an event. Returns a promise when the queue is full: it settles when there is room again, so that the producer can
   * hold back its source. Once relaxed, a full queue drops droppable events instead and never makes anyone wait.
   */
  push(event: T): Promise<void> | undefined;
  /** From now on nobody is kept waiting: the reader is gone, or the source must not be held back any longer. */
  relax(): void;
  /** No event will follow; readers end after what is queued. */
  end(): void;
  /** Nobody will read any more: what is queued and what follows is thrown away, and nobody is kept waiting. */
  abandon(): void;
  /** The same, and ends the reader with this error at its next step. */
  fail(error: Error): void;
  /** Yields events until the end, or until the signal aborts. */
  read(signal: AbortSignal): AsyncGenerator<T, void, undefined>;
  /** Bytes dropped so far. */
  readonly droppedBytes: number;
}

/** Makes an EventQueue that holds at most `bytesMax` before it is full; undroppable events always fit. */
export function createEventQueue<T>(bytesMax: number, weigh: (event: T) => EventWeight): EventQueue<T> {
  let queued: { event: T; bytes: number }[] = [];
  let queuedBytes = 0;
  let droppedBytes = 0;
  let relaxed = false;
  let ended = false;
  let failure: Error | undefined;
  let wakeReader: (() => void) | undefined;
  let room: { promise: Promise<void>; settle: () => void } | undefined;

  const wake = (): void => {
    const reader = wakeReader;
    wakeReader = undefined;
    reader?.();
  };
  const makeRoom = (): void => {
    room?.settle();
    room = undefined;
  };

  const abandon = (): void => {
    ended = true;
    queued = [];
    queuedBytes = 0;
    makeRoom();
    wake();
  };

  return {
    push(event) {
      if (ended) return undefined;
      const { bytes, droppable } = weigh(event);
      const full = queuedBytes >= bytesMax;
      if (droppable && full && relaxed) {
        droppedBytes += bytes;
        return undefined;
      }
      queued.push({ event, bytes });
      queuedBytes += bytes;
      wake();
      if (relaxed || queuedBytes < bytesMax) return undefined;
      if (room === undefined) {
        let settle = (): void => undefined;
        const promise = new Promise<void>((resolve) => (settle = resolve));
        room = { promise, settle };
      }
      return room.promise;
    },
    relax() {
      relaxed = true;
      makeRoom();
    },
    end() {
      ended = true;
      wake();
    },
    abandon,
    fail(error) {
      failure = error;
      abandon();
    },
    async *read(signal) {
      signal.addEventListener('abort', wake);
      try {
        while (!signal.aborted) {
          if (failure !== undefined) throw failure;
          const batch = queued;
          if (batch.length === 0) {
            if (ended) return;
            await new Promise<void>((resolve) => (wakeReader = resolve));
            continue;
          }
          queued = [];
          for (const { event, bytes } of batch) {
            if (signal.aborted) return;
            yield event;
            queuedBytes -= bytes;
            if (queuedBytes < bytesMax / 2) makeRoom();
          }
        }
      } finally {
        signal.removeEventListener('abort', wake);
      }
    },
    get droppedBytes() {
      return droppedBytes;
    },
  };
}
