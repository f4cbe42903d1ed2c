import type { Client } from '@grpc/grpc-js';

/**
 * Node's HTTP/2 server closes a connection, with every call on it, whose client cancels 1,000 streams in a burst or more
 * than 33 a second. Below both, with a margin, a connection is used; then another one takes over.
 */
const CANCELS_MAX = 800;
const CANCELS_PER_SECOND = 25;
/** How often calls that could not be cancelled at once get their turn. */
const TURN_MS = 1_000;

/** One call's part in its connection. */
export interface CallLease {
  /** The connection that the call is made on. */
  readonly client: Client;
  /** Ends the call early, by the function that was given to `begin`; at once if the connection bears it. */
  cancel(): void;
  /** The call is over. `cancelled` if the library has cancelled it, as it does at a deadline. */
  end(cancelled: boolean): void;
}

/** The connections of one client: normally one. */
export interface Connections {
  /** A part in a connection for a call that `cancel` can end. */
  begin(cancel: () => void): CallLease;
  /** Cancels all calls and closes all connections. */
  close(): void;
}

interface Connection {
  readonly client: Client;
  /** Calls that somebody still wants. */
  readonly wanted: Set<() => void>;
  /** Calls that nobody wants and that could not be cancelled yet. */
  readonly unwanted: Set<() => void>;
  cancelsLeft: number;
  countedMs: number;
  turn: NodeJS.Timeout | undefined;
}

/** Makes the connections of a client; each is made by `connect` when a call needs it. */
export function createConnections(connect: () => Client): Connections {
  const open = new Set<Connection>();
  let current: Connection | undefined;

  const add = (): Connection => {
    const connection: Connection = {
      client: connect(),
      wanted: new Set(),
      unwanted: new Set(),
      cancelsLeft: CANCELS_MAX,
      countedMs: performance.now(),
      turn: undefined,
    };
    open.add(connection);
    return connection;
  };
  const shut = (connection: Connection): void => {
    clearTimeout(connection.turn);
    open.delete(connection);
    // Nobody is left whom the end of the connection could hurt.
    for (const cancel of [...connection.wanted, ...connection.unwanted]) cancel();
    connection.client.close();
  };
  const shutUnused = (connection: Connection): void => {
    if (connection !== current && connection.wanted.size === 0 && open.has(connection)) shut(connection);
  };

  return {
    begin(cancel) {
      if (current !== undefined && cancelsLeft(current) < 1) {
        const full = current;
        current = add();
        shutUnused(full);
      }
      const connection = (current ??= add());
      connection.wanted.add(cancel);
      return {
        client: connection.client,
        cancel() {
          if (!connection.wanted.delete(cancel)) return;
          if (cancelsLeft(connection) < 1) {
            connection.unwanted.add(cancel);
            takeTurns(connection);
          } else {
            connection.cancelsLeft -= 1;
            cancel();
          }
          shutUnused(connection);
        },
        end(cancelled) {
          if (cancelled) connection.cancelsLeft = Math.max(0, cancelsLeft(connection) - 1);
          connection.unwanted.delete(cancel);
          if (connection.wanted.delete(cancel)) shutUnused(connection);
        },
      };
    },
    close() {
      current = undefined;
      for (const connection of open) shut(connection);
    },
  };
}

/** How many calls may be cancelled now. */
function cancelsLeft(connection: Connection): number {
  const nowMs = performance.now();
  const regained = ((nowMs - connection.countedMs) / 1_000) * CANCELS_PER_SECOND;
  connection.cancelsLeft = Math.min(CANCELS_MAX, connection.cancelsLeft + regained);
  connection.countedMs = nowMs;
  return connection.cancelsLeft;
}

/** Cancels unwanted calls as fast as the connection bears it. */
function takeTurns(connection: Connection): void {
  if (connection.turn !== undefined) return;
  connection.turn = setTimeout(() => {
    connection.turn = undefined;
    for (const cancel of [...connection.unwanted].slice(0, cancelsLeft(connection))) {
      connection.unwanted.delete(cancel);
      connection.cancelsLeft -= 1;
      cancel();
    }
    if (connection.unwanted.size > 0) takeTurns(connection);
  }, TURN_MS);
  connection.turn.unref();
}
