import { encodeSpareShell, type RunSecrets } from '../encode-upload.js';
import { REMOTE_COMMAND } from '../remote-command.js';
import type { SentLibrary } from '../sent-library.js';
import type { SshConnection } from './connection.js';
import type { PoolCounters } from './pool-metrics.js';
import type { SshChannel } from './ssh-channel.js';
import type { SshSettings } from './ssh-settings.js';

/** A shell that waits for a run in an open channel: supervisor and library are there and evaluated, and nothing else was sent. */
export interface SpareShell extends RunSecrets {
  readonly channel: SshChannel;
}

/**
 * Shells that are made ready on idle connections, for the next run there: it begins sooner, since all that is the same for every
 * run is done. Each serves one run. They are made only while few runs are under way, so that they take nothing from any.
 */
export interface SpareShells {
  /** A run takes a place on the connection: the spare shell that is there, if it is of that library; any other one ends. */
  take(connection: SshConnection, library: SentLibrary | undefined): SpareShell | undefined;
  /** That run is over, and nothing else is under way on the connection if `isIdle`. To be called once for each `take`. */
  give(connection: SshConnection, isIdle: boolean): void;
  /** How many are there, those being made included. */
  count(): number;
  /** Ends them all, and makes none any more. */
  close(): void;
}

/** More runs than this are under way on a mediator that has no time for what may not be needed. */
const RUNS_MAX = 3;
/** How many are made at once. */
const MAKING_MAX = 4;
/** How much longer than the mediator a shell waits for its run. */
const WAIT_MARGIN_MS = 10_000;

interface Held {
  readonly library: SentLibrary;
  /** Undefined while it is being made. */
  shell: SpareShell | undefined;
  readonly timer: NodeJS.Timeout;
}

/** Makes none yet. */
export function createSpareShells(
  settings: Pick<SshSettings, 'spareShellForMs' | 'spareShellsMax'>,
  counters: Pick<PoolCounters, 'sparesMade' | 'sparesTaken'>,
): SpareShells {
  const held = new Map<SshConnection, Held>();
  /** Where one is to be made, in the order in which they became idle. */
  const idle = new Set<SshConnection>();
  /** What the last run there could have taken. */
  const wanted = new WeakMap<SshConnection, SentLibrary>();
  const watched = new WeakSet<SshConnection>();
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

  const end = (connection: SshConnection): void => drop(connection)?.shell?.channel.destroy();

  const make = async (connection: SshConnection, library: SentLibrary): Promise<void> => {
    const one: Held = {
      library,
      shell: undefined,
      timer: setTimeout(() => end(connection), settings.spareShellForMs),
    };
    held.set(connection, one);
    const result = await connection.exec(REMOTE_COMMAND);
    // Whatever else it is shows when a run asks for the same.
    if (result.kind !== 'open') {
      if (held.get(connection) === one) drop(connection);
      return;
    }
    const { channel } = result;
    if (held.get(connection) !== one) {
      channel.destroy();
      return;
    }
    const { bytes, ...secrets } = encodeSpareShell(library, settings.spareShellForMs + WAIT_MARGIN_MS);
    channel.stdin.write(bytes);
    one.shell = { channel, ...secrets };
    counters.sparesMade += 1;
  };

  const makeSome = (): void => {
    // The next run there gives another chance.
    if (held.size >= settings.spareShellsMax) idle.clear();
    for (const connection of idle) {
      if (runs > RUNS_MAX || making >= MAKING_MAX || held.size >= settings.spareShellsMax) return;
      idle.delete(connection);
      const library = wanted.get(connection);
      if (library === undefined || !connection.isOpen) continue;
      making += 1;
      void make(connection, library).finally(() => {
        making -= 1;
        makeSome();
      });
    }
  };

  return {
    take(connection, library) {
      runs += 1;
      if (!watched.has(connection)) {
        watched.add(connection);
        void connection.closed.then(() => end(connection));
      }
      if (library === undefined) wanted.delete(connection);
      else wanted.set(connection, library);
      const one = drop(connection);
      if (one?.shell !== undefined && one.library === library) {
        counters.sparesTaken += 1;
        return one.shell;
      }
      one?.shell?.channel.destroy();
      return undefined;
    },
    give(connection, isIdle) {
      runs -= 1;
      if (isIdle && wanted.has(connection) && !closed) idle.add(connection);
      makeSome();
    },
    count: () => held.size,
    close() {
      closed = true;
      idle.clear();
      for (const connection of held.keys()) end(connection);
    },
  };
}
