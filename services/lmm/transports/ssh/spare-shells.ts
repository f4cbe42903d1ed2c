import { encodeSpareShell, type RunSecrets } from '../encode-upload.js';
import { REMOTE_COMMAND } from '../remote-command.js';
import type { SentLibrary } from '../sent-library.js';
import { settledWithin } from '../../../shared/settled-within.js';
import type { ExecResult, SshConnection } from './connection.js';
import type { PoolCounters } from './pool-metrics.js';
import type { SshSettings } from './ssh-settings.js';

/** A shell that waits for a run: it is sent supervisor and library, and nothing else. */
export interface SpareShell {
  readonly secrets: RunSecrets;
  /** Its channel, which may still be opening. */
  readonly asked: Promise<ExecResult>;
}

/**
 * Shells that are made ready on idle connections, for the next run there: it begins sooner, since all that is the same for every
 * run is done. Each serves one run. They are made only while few runs are under way, so that they take nothing from any.
 */
export interface SpareShells {
  /** A run takes a place on the connection: the spare shell that is there, if it is of that library; any other one ends. */
  take(connection: SshConnection, library: SentLibrary | undefined): SpareShell | undefined;
  /** That run ended as its node said: the next one there may have the same spare shell. */
  want(connection: SshConnection, library: SentLibrary | undefined): void;
  /** That run is over, and nothing else is under way on the connection if `isIdle`. To be called once for each `take`. */
  give(connection: SshConnection, isIdle: boolean): void;
  /** How many are there, those being made included. */
  count(): number;
  /** Ends them all, and makes none any more. */
  close(): void;
}

/** A mediator has no time for what may not be needed while more runs than this are under way, or begin … */
const RUNS_MAX = 3;
/** … over different connections in this time, and for as long after that. */
const BUSY_MS = 100;
/** How many are made at once. */
const MAKING_MAX = 4;
/** How much longer than the mediator a shell waits for its run. */
const WAIT_MARGIN_MS = 10_000;

interface Held extends SpareShell {
  readonly library: SentLibrary;
  readonly timer: NodeJS.Timeout;
}

/** Makes none yet. */
export function createSpareShells(
  settings: Pick<SshSettings, 'spareShellForMs' | 'spareShellsMax' | 'channelOpenTimeoutMs'>,
  counters: Pick<PoolCounters, 'sparesMade' | 'sparesTaken'>,
): SpareShells {
  const held = new Map<SshConnection, Held>();
  /** Where one is to be made, in the order in which they became idle. */
  const idle = new Set<SshConnection>();
  /** What the next run there may find. */
  const wanted = new WeakMap<SshConnection, SentLibrary>();
  const watched = new WeakSet<SshConnection>();
  /** When a run last began over each of the last few connections. */
  const begun = new Map<SshConnection, number>();
  let busyUntilMs = 0;
  let retry: NodeJS.Timeout | undefined;
  let runs = 0;
  let making = 0;
  let closed = settings.spareShellForMs === 0;

  const drop = (connection: SshConnection): Held | undefined => {
    idle.delete(connection);
    const one = held.get(connection);
    held.delete(connection);
    clearTimeout(one?.timer);
    return one;
  };

  const end = (connection: SshConnection): void => {
    void drop(connection)?.asked.then((late) => late.kind === 'open' && late.channel.destroy());
  };

  const ask = async (connection: SshConnection, bytes: Buffer): Promise<ExecResult> => {
    const result = await connection.exec(REMOTE_COMMAND);
    if (result.kind === 'open') {
      result.channel.stdin.write(bytes);
      counters.sparesMade += 1;
    }
    return result;
  };

  const make = (connection: SshConnection, library: SentLibrary): Promise<ExecResult> => {
    const { bytes, ...secrets } = encodeSpareShell(library, settings.spareShellForMs + WAIT_MARGIN_MS);
    const asked = ask(connection, bytes);
    const timer = setTimeout(() => end(connection), settings.spareShellForMs);
    const one = { library, secrets, asked, timer };
    held.set(connection, one);
    void asked.then(({ kind }) => {
      if (kind !== 'open' && held.get(connection) === one) drop(connection);
    });
    return asked;
  };

  const noteBegin = (connection: SshConnection): void => {
    const nowMs = performance.now();
    begun.delete(connection);
    begun.set(connection, nowMs);
    if (begun.size <= RUNS_MAX) return;
    const [oldest = connection] = begun.keys();
    if (nowMs - (begun.get(oldest) ?? 0) < BUSY_MS) busyUntilMs = nowMs + BUSY_MS;
    begun.delete(oldest);
  };

  const makeSome = (): void => {
    if (closed || idle.size === 0) return;
    const busyMs = busyUntilMs - performance.now();
    if (busyMs > 0) {
      retry ??= setTimeout(() => {
        retry = undefined;
        makeSome();
      }, busyMs);
      return;
    }
    // The next run there gives another chance.
    if (held.size >= settings.spareShellsMax) idle.clear();
    for (const connection of idle) {
      if (runs > RUNS_MAX || making >= MAKING_MAX || held.size >= settings.spareShellsMax) return;
      idle.delete(connection);
      const library = wanted.get(connection);
      if (library === undefined || !connection.isOpen) continue;
      making += 1;
      void settledWithin(make(connection, library), settings.channelOpenTimeoutMs).then(() => {
        making -= 1;
        makeSome();
      });
    }
  };

  return {
    take(connection, library) {
      runs += 1;
      noteBegin(connection);
      if (!watched.has(connection)) {
        watched.add(connection);
        void connection.closed.then(() => end(connection));
      }
      wanted.delete(connection);
      if (held.get(connection)?.library !== library) end(connection);
      const one = drop(connection);
      if (one !== undefined) counters.sparesTaken += 1;
      return one;
    },
    want(connection, library) {
      if (library !== undefined) wanted.set(connection, library);
    },
    give(connection, isIdle) {
      if (runs > RUNS_MAX) busyUntilMs = performance.now() + BUSY_MS;
      runs -= 1;
      if (isIdle && wanted.has(connection)) idle.add(connection);
      makeSome();
    },
    count: () => held.size,
    close() {
      closed = true;
      clearTimeout(retry);
      idle.clear();
      for (const connection of held.keys()) end(connection);
    },
  };
}
