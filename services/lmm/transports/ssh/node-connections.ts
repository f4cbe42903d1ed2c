import { RuneError } from '../../../shared/errors.js';
import { explainTimeout } from './connect-errors.js';
import { connectPersistently, type Patience } from './connect-persistently.js';
import type { Connect, ConnectContext, ConnectProgress, SshConnection } from './connection.js';
import type { SshTarget } from './ssh-target.js';
import type { KnownHosts } from './known-hosts.js';
import type { PoolCounters } from './pool-metrics.js';

/** A place for one channel on a connection. */
export interface Slot {
  readonly connection: SshConnection;
  /** Gives the place back; harmless when repeated. */
  release(): void;
  /** Nothing is under way on the connection, and it takes new runs. */
  isIdle(): boolean;
  /** sshd refused another session: ask this connection for no more than it has now. */
  isFull(): void;
  /** The connection does not answer: it takes no new channel, and ends with its last one. */
  retire(): void;
}

/** The connections to one node as one user, and who waits for them. */
export interface NodeConnections {
  /** Rejects with what kept the node from being reached, MEDIATOR_FULL, or the signal's own reason. */
  take(wait: Patience): Promise<Slot>;
  /** Looks again at who can be served; called after anything changed that this node could not see. */
  pump(): void;
  /** Retires connections whose host key is no longer trusted. */
  verifyAgain(known: KnownHosts): void;
  /** When the longest idle connection became idle; undefined if none is idle. */
  idleSinceMs(): number | undefined;
  endIdle(): void;
  counts(): { open: number; idle: number; connecting: number; waiting: number; channels: number };
  /** Rejects who waits, ends idle connections, and resolves when the last connection is closed and none is being made. */
  close(reason: RuneError): Promise<void>;
  destroy(): void;
}

export interface NodeConnectionsContext extends ConnectContext {
  readonly counters: PoolCounters;
  readonly connect: Connect;
  /** Claims the right to make a connection; undefined if some limit is reached. */
  readonly claim: () => Claim | undefined;
  /** Something was given back that other nodes may wait for. */
  readonly changed: () => void;
  /** There is no connection, none is being made and nobody waits. */
  readonly emptied: () => void;
}

/** The right to one connection; `connected` gives back the part that only counts until it is made. */
export interface Claim {
  connected(): void;
  release(): void;
}

interface Pooled {
  readonly connection: SshConnection;
  readonly bornMs: number;
  channels: number;
  channelsMax: number;
  retired: boolean;
  /** It did not answer: there is nobody to say goodbye to. */
  silent: boolean;
  idleSinceMs: number;
  idleTimer: NodeJS.Timeout | undefined;
}

interface Waiter {
  readonly wait: Patience;
  readonly sinceMs: number;
  readonly settle: (outcome: Slot | RuneError) => void;
}

interface Attempt extends ConnectProgress {
  readonly timeoutMs: number;
}

/** Makes the (still empty) set of connections to one node. */
export function createNodeConnections(target: SshTarget, context: NodeConnectionsContext): NodeConnections {
  const { settings, counters } = context;
  const pooled = new Set<Pooled>();
  const attempts = new Map<Attempt, Promise<void>>();
  const waiters = new Set<Waiter>();
  const ending = new AbortController();
  let verifiedBy: KnownHosts | undefined;
  let growTimer: NodeJS.Timeout | undefined;
  let growNotBeforeMs = 0;

  /** After a connection or an attempt ended. */
  const settleDown = (): void => {
    pump();
    context.changed();
    reportIfEmpty();
  };
  const reportIfEmpty = (): void => {
    if (pooled.size + attempts.size + waiters.size === 0) context.emptied();
  };
  const usable = (): Pooled[] => [...pooled].filter((each) => !each.retired && each.connection.isOpen);

  function pump(): void {
    for (const waiter of waiters) {
      const free = usable().find(hasRoom);
      if (free === undefined) break;
      counters.taken += 1;
      if (free.bornMs <= waiter.sinceMs) counters.takenWarm += 1;
      waiter.settle(occupy(free));
    }
    if (waiters.size > 0 && !ending.signal.aborted) growIfDue();
  }

  function hasRoom(each: Pooled): boolean {
    if (performance.now() - each.bornMs >= settings.ageMsMax) {
      counters.expired += 1;
      retire(each);
      return false;
    }
    return each.channels < each.channelsMax;
  }

  /** The first connection is made at once; more of them when a wait shows that runs do not end quickly enough. */
  function growIfDue(): void {
    const open = usable().length;
    if (open === 0) {
      if (attempts.size === 0) startConnecting();
      return;
    }
    const [oldest] = waiters;
    const nowMs = performance.now();
    const dueMs = Math.max(growNotBeforeMs, (oldest?.sinceMs ?? nowMs) + settings.growAfterMs);
    clearTimeout(growTimer);
    if (dueMs > nowMs) {
      growTimer = setTimeout(pump, dueMs - nowMs);
      return;
    }
    const enough = (): boolean =>
      attempts.size * settings.channelsPerConnectionMax >= waiters.size ||
      open + attempts.size >= settings.connectionsPerNodeMax;
    while (!enough() && startConnecting()) counters.grown += 1;
  }

  function startConnecting(): boolean {
    const claim = context.claim();
    if (claim === undefined) return false;
    const longest = [...waiters].reduce((a, b) => (b.wait.deadlineMs > a.wait.deadlineMs ? b : a)).wait;
    const attempt: Attempt = { phase: 'dialling', timeoutMs: longest.timeoutMs };
    const made = connectPersistently(
      (limits) => context.connect(target, context, limits, attempt),
      { ...longest, signal: ending.signal },
      context,
    ).then((result) => {
      attempts.delete(attempt);
      if (result.ok) {
        claim.connected();
        add(result.connection, claim);
      } else {
        claim.release();
        failWaiters(result.error, attempt);
      }
      settleDown();
    });
    attempts.set(attempt, made);
    return true;
  }

  function add(connection: SshConnection, claim: Claim): void {
    const each: Pooled = {
      connection,
      bornMs: performance.now(),
      channels: 0,
      channelsMax: settings.channelsPerConnectionMax,
      retired: false,
      silent: false,
      idleSinceMs: performance.now(),
      idleTimer: undefined,
    };
    pooled.add(each);
    becomeIdle(each);
    void connection.closed.then(() => {
      if (!each.retired) counters.evictions += 1;
      each.retired = true;
      clearTimeout(each.idleTimer);
      pooled.delete(each);
      claim.release();
      settleDown();
    });
  }

  function failWaiters(error: RuneError, attempt: Attempt): void {
    if (usable().length > 0 || attempts.size > 0) {
      growNotBeforeMs = performance.now() + settings.growPauseMs;
      return;
    }
    for (const waiter of waiters) {
      // Who was ready to wait longer than this attempt did gets another one.
      if (error.name === 'NODE_CONNECT_TIMEOUT' && waiter.wait.timeoutMs > attempt.timeoutMs) continue;
      waiter.settle(error);
    }
  }

  function occupy(each: Pooled): Slot {
    clearTimeout(each.idleTimer);
    each.channels += 1;
    let released = false;
    return {
      connection: each.connection,
      release() {
        if (released) return;
        released = true;
        each.channels -= 1;
        if (each.channels === 0) becomeIdle(each);
        pump();
      },
      isIdle: () => !each.retired && each.channels === 0,
      isFull() {
        counters.refusals += 1;
        each.channelsMax = Math.max(1, each.channels - 1);
      },
      retire() {
        if (!each.retired) counters.evictions += 1;
        each.silent = true;
        retire(each);
      },
    };
  }

  function becomeIdle(each: Pooled): void {
    if (each.retired) return leave(each);
    each.channelsMax = settings.channelsPerConnectionMax;
    each.idleSinceMs = performance.now();
    each.idleTimer = setTimeout(() => {
      counters.expired += 1;
      retire(each);
    }, settings.idleMs);
  }

  function retire(each: Pooled): void {
    each.retired = true;
    clearTimeout(each.idleTimer);
    if (each.channels === 0) leave(each);
  }

  function leave(each: Pooled): void {
    if (each.silent) each.connection.destroy();
    else each.connection.end();
  }

  function explainWait({ timeoutMs }: Patience): RuneError {
    const { node } = target;
    const within = `within ${timeoutMs / 1000} s`;
    const [attempt] = attempts.keys();
    const open = usable();
    if (open.length === 0 && attempt !== undefined) return explainTimeout(target, attempt.phase, timeoutMs);
    if (open.length === 0) {
      return new RuneError(
        'MEDIATOR_FULL',
        `This mediator had no connection to spare for ${node} ${within}.`,
        { node },
      );
    }
    const channels = open.reduce((sum, each) => sum + each.channels, 0);
    const message = `This mediator runs ${channels} plugins on ${node} over ${open.length} connections, and none ended ${within}.`;
    return new RuneError('MEDIATOR_FULL', message, { node });
  }

  const idle = (): Pooled[] => usable().filter((each) => each.channels === 0);

  return {
    take: (wait) =>
      new Promise((resolve, reject) => {
        wait.signal.throwIfAborted();
        const onAbort = (): void => {
          leave();
          reject(wait.signal.reason as Error);
        };
        const timer = setTimeout(
          () => waiter.settle(explainWait(wait)),
          Math.max(0, wait.deadlineMs - performance.now()),
        );
        const leave = (): void => {
          waiters.delete(waiter);
          clearTimeout(timer);
          if (waiters.size === 0) clearTimeout(growTimer);
          reportIfEmpty();
          wait.signal.removeEventListener('abort', onAbort);
        };
        const waiter: Waiter = {
          wait,
          sinceMs: performance.now(),
          settle(outcome) {
            leave();
            if (outcome instanceof RuneError) reject(outcome);
            else resolve(outcome);
          },
        };
        wait.signal.addEventListener('abort', onAbort);
        waiters.add(waiter);
        pump();
      }),
    pump,
    verifyAgain(known) {
      if (known === verifiedBy) return;
      verifiedBy = known;
      for (const each of usable()) {
        if (!each.connection.isTrustedBy(known)) {
          counters.evictions += 1;
          retire(each);
        }
      }
    },
    idleSinceMs: () =>
      idle().reduce<number | undefined>(
        (min, each) => Math.min(min ?? Infinity, each.idleSinceMs),
        undefined,
      ),
    endIdle() {
      const [longest] = idle().toSorted((a, b) => a.idleSinceMs - b.idleSinceMs);
      if (longest === undefined) return;
      counters.expired += 1;
      retire(longest);
    },
    counts: () => ({
      open: pooled.size,
      idle: idle().length,
      connecting: attempts.size,
      waiting: waiters.size,
      channels: [...pooled].reduce((sum, each) => sum + each.channels, 0),
    }),
    async close(reason) {
      ending.abort(reason);
      clearTimeout(growTimer);
      for (const waiter of waiters) waiter.settle(reason);
      const closed = [...pooled].map((each) => {
        retire(each);
        return each.connection.closed;
      });
      await Promise.all([...closed, ...attempts.values()]);
    },
    destroy() {
      for (const each of pooled) each.connection.destroy();
    },
  };
}
