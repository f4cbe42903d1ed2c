import { setTimeout as delay } from 'node:timers/promises';
import { RuneError } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';
import { SILENT_METER } from '../../shared/metrics/metric.js';
import type { LomMeter } from '../metrics.js';
import type { EventKind, ExecutionChange, Store } from './store.js';

/** Pauses between attempts to write while the database is away: the first, and the longest. */
const RETRY_MS = 100;
const RETRY_MS_MAX = 2_000;

/** After a transaction with so much log the next one waits for more of it, for so long at most: each costs more than such a piece. */
const FLOOD_BYTES = 32 * 1024;
const GATHER_MS = 10;
const PATIENT: readonly EventKind[] = ['log', 'progress'];

/** Whether a change is recorded, refused because the execution has another owner, or left out because somebody else has the lock. */
export type Recorded = 'recorded' | 'refused' | 'locked out';

/** Writes that wait for a transaction together. */
export interface CommitQueue {
  /**
   * Records a change together with whatever else waits; changes of one execution stay in order. Resolves once it is on
   * disk, or is not to be recorded. While the database is away it waits: a change is given up only by `close`.
   */
  add(change: ExecutionChange): Promise<Recorded>;
  /** Settles when fewer bytes of events wait than the limit; undefined while that is so. */
  room(): Promise<void> | undefined;
  /** Bytes of events that wait. */
  readonly waitingBytes: number;
  /** Writes what waits, for at most so long, then rejects what is left with STORE_UNAVAILABLE. */
  close(timeoutMs: number): Promise<void>;
}

interface Waiting {
  readonly change: ExecutionChange;
  readonly bytes: number;
  readonly settle: (recorded: Recorded) => void;
  readonly fail: (error: RuneError) => void;
}

const bytesOf = ({ events }: ExecutionChange): number =>
  events.reduce((sum, { body }) => sum + body.length, 0);

/** Nobody waits for its end. */
const isPatient = ({ events, state }: ExecutionChange): boolean =>
  state === undefined && events.length > 0 && events.every(({ kind }) => PATIENT.includes(kind));

function recordedOf({ executionId, runs }: ExecutionChange, refused: ReadonlySet<string>): Recorded {
  if (refused.has(executionId)) return 'refused';
  const isLockedOut = runs.some(({ lock }) => lock !== undefined && refused.has(lock.runId));
  return isLockedOut ? 'locked out' : 'recorded';
}

/** One change that does what all of these do, in their order. They are changes of one execution and one epoch. */
function merge(changes: readonly ExecutionChange[]): ExecutionChange {
  const [first] = changes as [ExecutionChange];
  if (changes.length === 1) return first;
  // Assigned, because to spread one object behind another takes ten times as long.
  const runs = new Map<number, ExecutionChange['runs'][number]>();
  for (const run of changes.flatMap((change) => change.runs))
    runs.set(run.position, Object.assign({}, runs.get(run.position), run));
  const events = changes.flatMap((change) => change.events);
  return Object.assign({}, ...changes, { events, runs: [...runs.values()] }) as ExecutionChange;
}

/**
 * Makes the queue. What is added in one turn of the event loop, or while a transaction is under way, shares the next transaction;
 * at most `groupBytesMax` of events go into one. In a flood of log, a transaction waits for more of it, unless something else comes.
 */
export function createCommitQueue(
  store: Pick<Store, 'commit'>,
  settings: { readonly bytesMax: number; readonly groupBytesMax: number },
  logger: Logger,
  meter: LomMeter = SILENT_METER,
): CommitQueue {
  let waiting: Waiting[] = [];
  let waitingBytes = 0;
  let lastGroupBytes = 0;
  let endGathering: (() => void) | undefined;
  let writing: Promise<void> | undefined;
  let closing = false;
  const stopped = new AbortController();
  let room: { readonly promise: Promise<void>; readonly settle: () => void } | undefined;

  const takeGroup = (): Waiting[] => {
    let bytes = 0;
    const end = waiting.findIndex(
      (entry, index) => (bytes += entry.bytes) > settings.groupBytesMax && index > 0,
    );
    const group = waiting.slice(0, end < 0 ? waiting.length : end);
    waiting = end < 0 ? [] : waiting.slice(end);
    return group;
  };

  const commit = async (changes: readonly ExecutionChange[]): Promise<ReadonlySet<string>> => {
    for (let pauseMs = RETRY_MS; ; pauseMs = Math.min(pauseMs * 2, RETRY_MS_MAX)) {
      const startedMs = performance.now();
      try {
        const refused = await store.commit(changes);
        meter.observe('rune_lom_store_commit_seconds', {}, (performance.now() - startedMs) / 1000);
        return refused;
      } catch (thrown) {
        const error = RuneError.from(thrown);
        meter.count('rune_lom_store_commit_failures_total', {});
        if (error.name !== 'STORE_UNAVAILABLE' || stopped.signal.aborted) throw error;
        if (pauseMs === RETRY_MS) logger.error('the store cannot be written; trying again', { err: error });
        await delay(pauseMs, undefined, { signal: stopped.signal }).catch(() => undefined);
      }
    }
  };

  const write = async (group: readonly Waiting[]): Promise<void> => {
    const byExecution = new Map<string, ExecutionChange[]>();
    for (const { change } of group) {
      const same = byExecution.get(change.executionId);
      if (same === undefined) byExecution.set(change.executionId, [change]);
      else same.push(change);
    }
    meter.observe('rune_lom_store_commit_changes', {}, group.length);
    try {
      const refused = await commit([...byExecution.values()].map(merge));
      for (const { change, settle } of group) settle(recordedOf(change, refused));
    } catch (thrown) {
      for (const { fail } of group) fail(RuneError.from(thrown));
    }
    lastGroupBytes = group.reduce((sum, { bytes }) => sum + bytes, 0);
    waitingBytes -= lastGroupBytes;
    if (waitingBytes < settings.bytesMax / 2) {
      room?.settle();
      room = undefined;
    }
  };

  const isEnough = (): boolean => waitingBytes >= Math.min(settings.groupBytesMax, settings.bytesMax / 2);
  const canGather = (): boolean =>
    lastGroupBytes >= FLOOD_BYTES && !isEnough() && waiting.every(({ change }) => isPatient(change));

  const gather = (): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(() => endGathering?.(), GATHER_MS);
      endGathering = () => {
        endGathering = undefined;
        clearTimeout(timer);
        resolve();
      };
    });

  const writeAll = async (): Promise<void> => {
    while (waiting.length > 0) {
      // Whatever else this turn of the event loop adds belongs to the same transaction.
      await new Promise(setImmediate);
      if (canGather()) await gather();
      await write(takeGroup());
    }
    writing = undefined;
  };

  return {
    add(change) {
      if (closing) return Promise.reject(new RuneError('STORE_UNAVAILABLE', 'The store is being closed.'));
      return new Promise((settle, fail) => {
        const bytes = bytesOf(change);
        waiting.push({ change, bytes, settle, fail });
        waitingBytes += bytes;
        writing ??= writeAll();
        if (isEnough() || !isPatient(change)) endGathering?.();
      });
    },
    room() {
      if (waitingBytes < settings.bytesMax) return undefined;
      if (room === undefined) {
        let settle = (): void => undefined;
        const promise = new Promise<void>((resolve) => (settle = resolve));
        room = { promise, settle };
      }
      return room.promise;
    },
    get waitingBytes() {
      return waitingBytes;
    },
    async close(timeoutMs) {
      closing = true;
      const giveUp = setTimeout(() => stopped.abort(), timeoutMs);
      await writing;
      clearTimeout(giveUp);
    },
  };
}
