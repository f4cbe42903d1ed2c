import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** The two ends of a link: who called, and who was called. */
export type LinkEnd = 'caller' | 'callee';

/** One connection through a relay, and what can be done to it. Everything is harmless on a connection that is over. */
export interface BadLink {
  readonly id: number;
  /** The address that was called. */
  readonly address: string;
  readonly isOpen: boolean;
  /** How many bytes have gone to this end after each piece that did. */
  stages(to: LinkEnd): readonly number[];
  /** Resolves when both sides are closed. */
  readonly closed: Promise<void>;
  /** Nothing passes any more in either direction for so long, closing neither; Infinity for good. */
  stall(ms: number): void;
  /** Every byte arrives so much later from now on. */
  delay(ms: number): void;
  /** Changes the next byte that goes to this end. */
  corrupt(to: LinkEnd): void;
  /** An orderly end of both sides. */
  cut(): void;
  /** One side sees a reset. The other one hears nothing any more, not even that. */
  reset(end: LinkEnd): void;
  /** This end is told that the other one will send nothing more; what it sends itself still arrives. */
  halfClose(end: LinkEnd): void;
  /** Calls `act` when so many bytes went to this end; it gets no more of them before. */
  after(bytes: number, to: LinkEnd, act: () => void): void;
  /** The most bytes that were under way to this end at a time. The link takes no more than a mebibyte. */
  underWayBytesMax(to: LinkEnd): number;
  /** Resets both sides. */
  destroy(): void;
}

/** A TCP relay on all loopback addresses. */
export interface BadLinks {
  readonly port: number;
  /** The open connections, oldest first. */
  links(): readonly BadLink[];
  /** Resets every connection and listens no more. */
  close(): Promise<void>;
}

export interface BadLinksOptions {
  /** Where a call to this address goes. */
  readonly route: (address: string) => { readonly host: string; readonly port: number };
  /** Sees each connection before its first byte. */
  readonly onLink?: (link: BadLink) => void;
}

/** What a sender may be ahead of a receiver that does not read. */
const QUEUE_BYTES_MAX = 1024 * 1024;

/** More pieces than the life of a short run has. */
const STAGES_MAX = 1_000;

/** One direction of a link. */
interface Lane {
  readonly stages: readonly number[];
  readonly stall: (ms: number) => void;
  readonly delay: (ms: number) => void;
  readonly corrupt: () => void;
  readonly after: (bytes: number, act: () => void) => void;
  readonly underWayBytesMax: () => number;
  /** Drops everything from now on. */
  readonly deafen: () => void;
}

function makeLane(from: Socket, to: Socket): Lane {
  const stages: number[] = [];
  const queue: { readonly chunk: Buffer; readonly dueMs: number }[] = [];
  let queuedBytes = 0;
  let queuedBytesMax = 0;
  let passedBytes = 0;
  let delayMs = 0;
  let stalledUntilMs = 0;
  let isDeaf = false;
  let isCorrupting = false;
  let hasEnded = false;
  let timer: NodeJS.Timeout | undefined;
  let trap: { readonly atBytes: number; readonly act: () => void } | undefined;

  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    for (;;) {
      const [first] = queue;
      if (first === undefined) break;
      const waitMs = Math.max(stalledUntilMs, first.dueMs) - performance.now();
      if (waitMs > 0) {
        if (waitMs !== Infinity) timer = setTimeout(flush, waitMs);
        return;
      }
      if (to.writableNeedDrain) {
        from.pause();
        return;
      }
      queue.shift();
      queuedBytes -= first.chunk.length;
      to.write(first.chunk);
    }
    if (stalledUntilMs > performance.now()) return;
    from.resume();
    if (hasEnded) to.end();
  };
  const pass = (chunk: Buffer): void => {
    if (isDeaf || chunk.length === 0) return;
    if (isCorrupting) {
      isCorrupting = false;
      chunk[0] = (chunk[0] ?? 0) ^ 0xff;
    }
    passedBytes += chunk.length;
    if (stages.length < STAGES_MAX) stages.push(passedBytes);
    queue.push({ chunk, dueMs: performance.now() + delayMs });
    queuedBytes += chunk.length;
    queuedBytesMax = Math.max(queuedBytesMax, queuedBytes);
    if (queuedBytes >= QUEUE_BYTES_MAX) from.pause();
    flush();
  };

  from.on('data', (chunk: Buffer) => {
    const roomBytes = trap === undefined ? Infinity : trap.atBytes - passedBytes;
    if (trap === undefined || chunk.length < roomBytes) return pass(chunk);
    const { act } = trap;
    trap = undefined;
    pass(chunk.subarray(0, roomBytes));
    act();
    pass(chunk.subarray(roomBytes));
  });
  from.on('end', () => {
    hasEnded = true;
    if (isDeaf) from.destroy();
    else flush();
  });
  from.on('error', () => undefined);
  to.on('drain', flush);
  to.once('close', () => clearTimeout(timer));

  return {
    stages,
    stall(ms) {
      stalledUntilMs = performance.now() + ms;
      from.pause();
      clearTimeout(timer);
      timer = ms === Infinity ? undefined : setTimeout(flush, ms);
    },
    delay: (ms) => (delayMs = ms),
    corrupt: () => (isCorrupting = true),
    after: (bytes, act) => (trap = { atBytes: bytes, act }),
    underWayBytesMax: () => queuedBytesMax,
    deafen() {
      isDeaf = true;
      clearTimeout(timer);
      queue.length = 0;
      from.resume();
    },
  };
}

function reset(socket: Socket): void {
  // A reset that waits for the connection, or that follows an orderly end, would never close the socket.
  if (socket.connecting || socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

function makeLink(id: number, caller: Socket, callee: Socket): BadLink {
  const address = caller.localAddress ?? '';
  const up = makeLane(caller, callee);
  const down = makeLane(callee, caller);
  const laneTo = (end: LinkEnd): Lane => (end === 'callee' ? up : down);
  const both = [caller, callee];
  let isAbandoned = false;
  for (const [socket, other] of [
    [caller, callee],
    [callee, caller],
  ] as const) {
    socket.once('close', () => {
      if (!isAbandoned) other.destroySoon();
    });
  }
  const closed = Promise.all(
    both.map((socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()))),
  ).then(() => undefined);
  return {
    id,
    address,
    get isOpen() {
      return both.some((socket) => !socket.destroyed);
    },
    closed,
    stages: (to) => laneTo(to).stages,
    stall(ms) {
      up.stall(ms);
      down.stall(ms);
    },
    delay(ms) {
      up.delay(ms);
      down.delay(ms);
    },
    corrupt: (to) => laneTo(to).corrupt(),
    cut: () => both.forEach((socket) => socket.destroySoon()),
    reset(end) {
      isAbandoned = true;
      up.deafen();
      down.deafen();
      reset(end === 'caller' ? caller : callee);
    },
    halfClose(end) {
      laneTo(end).deafen();
      (end === 'caller' ? caller : callee).end();
    },
    after: (bytes, to, act) => laneTo(to).after(bytes, act),
    underWayBytesMax: (to) => laneTo(to).underWayBytesMax(),
    destroy() {
      up.deafen();
      down.deafen();
      both.forEach(reset);
    },
  };
}

/** Starts a relay on a free port of all addresses of this machine. */
export async function startBadLinks({ route, onLink }: BadLinksOptions): Promise<BadLinks> {
  const open = new Map<number, BadLink>();
  let count = 0;
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (caller) => {
    caller.pause();
    const callee = connect({
      ...route(caller.localAddress ?? ''),
      allowHalfOpen: true,
      noDelay: true,
      autoSelectFamily: false,
    });
    count += 1;
    const link = makeLink(count, caller, callee);
    open.set(link.id, link);
    void link.closed.then(() => open.delete(link.id));
    callee.once('connect', () => caller.resume());
    onLink?.(link);
  });
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    links: () => [...open.values()],
    close() {
      for (const link of open.values()) link.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
