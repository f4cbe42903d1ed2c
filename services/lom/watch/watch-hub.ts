import type { EventRecord } from '../store/store.js';

/** Tells those who look at executions that something was recorded. */
export interface WatchHub {
  /** From now on, no change of the execution is missed by `changed`. */
  subscribe(executionId: string): Subscription;
  /** Something changed: this event was recorded here, or, without one, whatever another process recorded. */
  notify(executionId: string, recorded?: EventRecord): void;
  /** Ends every wait with this error, also those that begin later. */
  close(error: Error): void;
  /** How many look at executions. */
  readonly watchers: number;
}

/** One who looks at an execution. */
export interface Subscription {
  /**
   * The first events from `fromSeq` on that were recorded here lately, which spares the store, until they have `bytesMax`; undefined
   * where they may not be all that there are. None means that nothing new is known of.
   */
  recent(fromSeq: number, bytesMax: number): readonly EventRecord[] | undefined;
  /**
   * Resolves with true once something changed since it last resolved, or with false after `timeoutMs`. Rejects when the signal
   * aborts, or with the error of a hub that is closed once nothing is new.
   */
  changed(timeoutMs: number, signal: AbortSignal): Promise<boolean>;
  end(): void;
}

/** What is kept of the newest events of an execution that somebody looks at: more than one transaction records of them. */
const RECENT_BYTES_MAX = 2 * 1024 * 1024;
/** While all executions together have more than this, each one keeps no more than its share. */
const ALL_RECENT_BYTES_MAX = 16 * 1024 * 1024;
const RECENT_SHARE_BYTES = 64 * 1024;

/** An execution that somebody looks at. */
interface Watched {
  readonly notices: Set<() => void>;
  /** Without gaps; empty when somebody else may have recorded more. */
  recent: EventRecord[];
  recentBytes: number;
}

/** The first of these records that have so many bytes together, and at least one. */
function upTo(records: readonly EventRecord[], first: number, bytesMax: number): EventRecord[] {
  let bytes = 0;
  let end = first;
  for (; end < records.length && bytes < bytesMax; end += 1) bytes += records[end]?.body.length ?? 0;
  return records.slice(first, end);
}

/** Makes a hub. */
export function createWatchHub(): WatchHub {
  const executions = new Map<string, Watched>();
  let allRecentBytes = 0;
  let closed: Error | undefined;

  const forget = (watched: Watched): void => {
    allRecentBytes -= watched.recentBytes;
    watched.recent = [];
    watched.recentBytes = 0;
  };
  const count = (watched: Watched, bytes: number): void => {
    watched.recentBytes += bytes;
    allRecentBytes += bytes;
  };
  const remember = (watched: Watched, recorded: EventRecord | undefined): void => {
    if (recorded === undefined || watched.recent.at(-1)?.seq !== recorded.seq - 1) forget(watched);
    if (recorded === undefined) return;
    watched.recent.push(recorded);
    count(watched, recorded.body.length);
    const bytesMax = allRecentBytes > ALL_RECENT_BYTES_MAX ? RECENT_SHARE_BYTES : RECENT_BYTES_MAX;
    while (watched.recentBytes > bytesMax) count(watched, -(watched.recent.shift()?.body.length ?? 0));
  };

  return {
    subscribe(executionId) {
      let dirty = false;
      let wake: (() => void) | undefined;
      const notice = (): void => {
        dirty = true;
        wake?.();
      };
      const watched = executions.get(executionId) ?? { notices: new Set(), recent: [], recentBytes: 0 };
      executions.set(executionId, watched);
      watched.notices.add(notice);
      return {
        recent(fromSeq, bytesMax) {
          const first = watched.recent[0]?.seq;
          if (first === undefined || fromSeq < first) return undefined;
          return upTo(watched.recent, fromSeq - first, bytesMax);
        },
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
          const isNew = dirty;
          dirty = false;
          return isNew;
        },
        end() {
          watched.notices.delete(notice);
          if (watched.notices.size > 0 || executions.get(executionId) !== watched) return;
          forget(watched);
          executions.delete(executionId);
        },
      };
    },
    notify(executionId, recorded) {
      const watched = executions.get(executionId);
      if (watched === undefined) return;
      remember(watched, recorded);
      for (const notice of watched.notices) notice();
    },
    close(error) {
      closed = error;
      for (const { notices } of executions.values()) for (const notice of notices) notice();
    },
    get watchers() {
      return [...executions.values()].reduce((sum, { notices }) => sum + notices.size, 0);
    },
  };
}
