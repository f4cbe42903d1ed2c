import { RuneError } from '../../../shared/errors.js';
import { settledWithin } from '../../../shared/settled-within.js';
import type { RunSecrets } from '../encode-upload.js';
import type { SentLibrary } from '../sent-library.js';
import { explainTimeout } from './connect-errors.js';
import { connectPersistently, type Patience } from './connect-persistently.js';
import { connect, lookAtHostKey } from './connect.js';
import {
  failedBefore,
  type Connect,
  type ConnectContext,
  type ConnectFailure,
  type ConnectLimits,
  type ConnectResult,
  type ExecResult,
  type LookResult,
} from './connection.js';
import { readKnown } from './read-known.js';
import type { SshHost, SshTarget } from './ssh-target.js';
import { createForward } from './forward.js';
import { pauseWithJitter } from './jitter.js';
import { createNodeConnections, type Claim, type NodeConnections, type Slot } from './node-connections.js';
import { createPoolCounters, type PoolMetrics } from './pool-metrics.js';
import type { SshChannel } from './ssh-channel.js';
import { createSpareShells, type SpareShell } from './spare-shells.js';

/** Warm SSH connections, shared by runs of the same user, address, port, credential and pins. */
export interface SshPool {
  /**
   * A channel in which `command` runs on the node, and nothing of the run was sent to it yet. Rejects, with nothing run, with NODE_*,
   * HOST_KEY_*, AUTHENTICATION_FAILED, CREDENTIAL_* or MEDIATOR_FULL, or with the signal's reason. With `spareOf`, REMOTE_COMMAND
   * may have been run already, and be a spare shell with that library.
   */
  open(
    target: SshTarget,
    command: string,
    limits: { timeoutMs: number; signal: AbortSignal; spareOf?: SentLibrary | undefined },
  ): Promise<OpenChannel>;
  /**
   * A connection of its own, made within the limits on handshakes, so that the answer is about now; the caller ends it.
   * Never rejects.
   */
  probe(target: SshTarget, limits: ProbeLimits): Promise<ConnectResult>;
  /**
   * The host key of one of these types (of any, for undefined) that the host shows, within the same limits, without a login.
   * Never rejects.
   */
  look(target: SshHost, types: readonly string[] | undefined, limits: ProbeLimits): Promise<LookResult>;
  /** Counts for this moment and since the start. */
  metrics(): PoolMetrics;
  /** Refuses new runs and ends connections, idle ones at once, the others after their last channel or after 5 s. */
  close(): Promise<void>;
}

/** A channel for one run. */
export interface OpenChannel {
  readonly channel: SshChannel;
  /** Of the spare shell that waits in it; undefined if nothing was sent to it yet. */
  readonly spare: RunSecrets | undefined;
  /** Its connection does not answer: it takes no new run. */
  retire(): void;
  /** The run ended as its node said: the next one on the connection may find a spare shell there. */
  worked(): void;
}

/** How long a probe may take, waiting included. */
export interface ProbeLimits {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const CLOSE_TIMEOUT_MS = 5_000;

/** Makes an empty pool of connections that `connectBy` makes. */
export function createPool(tools: Omit<ConnectContext, 'forward'>, connectBy: Connect = connect): SshPool {
  const { settings } = tools;
  const counters = createPoolCounters();
  const spares = createSpareShells(settings, counters);
  const nodes = new Map<string, NodeConnections>();
  /** Connections that go to jump hosts, whatever runs on those hosts themselves. */
  const hops = new Map<string, NodeConnections>();
  const forward = createForward({
    knownHosts: tools.knownHosts,
    settings,
    counters,
    connectionsTo: (via) => connectionsIn(hops, via),
  });
  const context: ConnectContext = { ...tools, forward };
  const connectingByHost = new Map<string, number>();
  /** What to call when a claim that was refused may be granted. */
  const starved = new Set<() => void>();
  let connections = 0;
  let waiting = 0;
  const ending = new AbortController();
  let closing: RuneError | undefined;

  /** Gives those who were refused a claim another chance; once for all changes of one turn. */
  const changed = (): void => {
    if (starved.size === 0) return;
    const hungry = [...starved];
    starved.clear();
    queueMicrotask(() => hungry.forEach((again) => again()));
  };

  const claim = (host: string, isHop = false): Claim | undefined => {
    const connecting = connectingByHost.get(host) ?? 0;
    if (connecting >= settings.handshakesPerNodeMax) return undefined;
    // Those who hold the last places may all be waiting for a jump host: it does not need one.
    if (connections >= settings.connectionsMax && !isHop) {
      endLongestIdle();
      return undefined;
    }
    if (!isHop) connections += 1;
    connectingByHost.set(host, connecting + 1);
    const connected = once(() => {
      const left = (connectingByHost.get(host) ?? 1) - 1;
      if (left === 0) connectingByHost.delete(host);
      else connectingByHost.set(host, left);
    });
    const release = once(() => {
      connected();
      if (!isHop) connections -= 1;
    });
    return { connected, release };
  };

  /** Waits for a claim in turn with everybody else; undefined when the time is over. */
  const claimWithin = async (target: SshHost, patience: Patience): Promise<Claim | undefined> => {
    for (;;) {
      const claimed = claim(hostOf(target));
      if (claimed !== undefined) return claimed;
      if (!(await untilChanged(patience))) return undefined;
    }
  };

  const untilChanged = ({ deadlineMs, signal }: Patience): Promise<boolean> =>
    new Promise((resolve) => {
      const settle = (isChanged: boolean): void => {
        clearTimeout(timer);
        starved.delete(onChange);
        signal.removeEventListener('abort', onAbort);
        resolve(isChanged);
      };
      const onChange = (): void => settle(true);
      const onAbort = (): void => settle(false);
      const timer = setTimeout(onAbort, Math.max(0, deadlineMs - performance.now()));
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort);
      starved.add(onChange);
    });

  const endLongestIdle = (): void => {
    let longest: NodeConnections | undefined;
    for (const node of nodes.values()) {
      if ((node.idleSinceMs() ?? Infinity) < (longest?.idleSinceMs() ?? Infinity)) longest = node;
    }
    longest?.endIdle();
  };

  function connectionsIn(all: Map<string, NodeConnections>, target: SshTarget): NodeConnections {
    const key = keyOf(target);
    const known = all.get(key);
    if (known) return known;
    const isHop = all === hops;
    const channelsPerConnectionMax = isHop
      ? settings.forwardsPerConnectionMax
      : settings.channelsPerConnectionMax;
    const made = createNodeConnections(target, {
      ...context,
      settings: { ...settings, channelsPerConnectionMax },
      // Only the library lets the mediator go on from one host to another.
      connect: isHop ? connect : connectBy,
      counters,
      changed,
      claim: () => {
        const claimed = claim(hostOf(target), isHop);
        if (claimed === undefined) starved.add(made.pump);
        return claimed;
      },
      emptied: () => {
        starved.delete(made.pump);
        if (all.get(key) === made) all.delete(key);
      },
    });
    all.set(key, made);
    return made;
  }

  return {
    async open(target, command, { timeoutMs, signal, spareOf }) {
      const { node } = target;
      if (closing) throw closing;
      signal.throwIfAborted();
      if (waiting >= settings.waitersMax) {
        throw new RuneError('MEDIATOR_FULL', `${waiting} runs wait for a connection on this mediator.`, {
          node,
        });
      }
      waiting += 1;
      try {
        const wait: Patience = { timeoutMs, deadlineMs: performance.now() + timeoutMs, signal };
        const known = await readKnown(target, context.knownHosts);
        if (closing) throw closing;
        nodes.get(keyOf(target))?.verifyAgain(known);
        return await openPersistently(target, command, wait, spareOf);
      } finally {
        waiting -= 1;
      }
    },
    probe: (target, limits) =>
      alone(target, limits, (each) => connectBy(target, context, each, { phase: 'dialling' })),
    look: (target, types, limits) =>
      alone(target, limits, (each) => lookAtHostKey(target, types, context, each, { phase: 'dialling' })),
    metrics: () => {
      const sum = { open: 0, idle: 0, connecting: 0, waiting: 0, channels: 0 };
      for (const node of [...nodes.values(), ...hops.values()]) {
        const counts = node.counts();
        for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += counts[name];
      }
      return { nodes: nodes.size + hops.size, ...sum, spares: spares.count(), ...counters };
    },
    async close() {
      closing ??= new RuneError('SERVICE_SHUTTING_DOWN', 'This mediator is shutting down.');
      const reason = closing;
      ending.abort(reason);
      spares.close();
      const all = [...nodes.values(), ...hops.values()];
      await settledWithin(Promise.all(all.map((each) => each.close(reason))), CLOSE_TIMEOUT_MS);
      for (const each of all) each.destroy();
    },
  };

  /** Connects outside the pool, within its limits on handshakes. */
  async function alone<Result extends ConnectResult | LookResult>(
    target: SshHost,
    { timeoutMs, signal }: ProbeLimits,
    tryOnce: (limits: ConnectLimits) => Promise<Result>,
  ): Promise<Result | ConnectFailure> {
    if (closing) return failedBefore(closing);
    const patience = {
      timeoutMs,
      deadlineMs: performance.now() + timeoutMs,
      signal: AbortSignal.any([signal, ending.signal]),
    };
    const claimed = await claimWithin(target, patience);
    if (claimed === undefined) return failedBefore(closing ?? explainTimeout(target, 'queued', timeoutMs));
    try {
      return await connectPersistently(tryOnce, patience, { settings, counters });
    } finally {
      claimed.release();
      changed();
    }
  }

  async function openPersistently(
    target: SshTarget,
    command: string,
    wait: Patience,
    spareOf: SentLibrary | undefined,
  ): Promise<OpenChannel> {
    const { node } = target;
    let replaced = false;
    for (let refusals = 0; ;) {
      wait.signal.throwIfAborted();
      const { slot, spare } = withSpare(await connectionsIn(nodes, target).take(wait), spareOf);
      const leftMs = wait.deadlineMs - performance.now();
      // A first connection that says nothing leaves time for a second one.
      const limitMs = Math.min(settings.channelOpenTimeoutMs, replaced ? leftMs : leftMs / 2);
      const asked = spare?.asked ?? slot.connection.exec(command);
      const result = await execWithin(slot, asked, limitMs, wait.signal);
      if (result.kind === 'open') {
        const worked = (): void => spares.want(slot.connection, spareOf);
        return { channel: result.channel, spare: spare?.secrets, retire: slot.retire, worked };
      }
      if (result.kind === 'failed') throw result.error;
      if (result.kind === 'denied') {
        throw new RuneError(
          'NODE_CHANNEL_REFUSED',
          `sshd on ${node} opened a session and allows no command in it.`,
          { node },
        );
      }
      if (result.kind === 'refused') {
        refusals += 1;
        if (await pauseWithJitter(refusals, wait.deadlineMs, wait.signal)) continue;
        wait.signal.throwIfAborted();
        const message = `sshd on ${node} refused ${refusals} times within ${wait.timeoutMs / 1000} s to open a session.`;
        throw new RuneError('NODE_CHANNEL_REFUSED', message, { node });
      }
      if (replaced) {
        if (result.kind === 'stalled') throw explainTimeout(target, 'opening', wait.timeoutMs);
        throw new RuneError('NODE_UNREACHABLE', `${node} closed two connections before a session was open.`, {
          node,
        });
      }
      replaced = true;
      counters.replaced += 1;
    }
  }

  /** The place of a run, and the spare shell there that it can have. */
  function withSpare(
    slot: Slot,
    spareOf: SentLibrary | undefined,
  ): { slot: Slot; spare: SpareShell | undefined } {
    const { connection } = slot;
    const spare = spares.take(connection, spareOf);
    const release = once(() => {
      slot.release();
      spares.give(connection, slot.isIdle());
    });
    return { slot: { ...slot, release }, spare };
  }

  /** Waits for a channel and sees to it that the place is given back, whenever and however the answer comes. */
  async function execWithin(
    slot: Slot,
    asked: Promise<ExecResult>,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<ExecResult | { readonly kind: 'stalled' }> {
    let timer: NodeJS.Timeout | undefined;
    let onAbort = (): void => undefined;
    const stalled = new Promise<'stalled'>(
      (resolve) => (timer = setTimeout(() => resolve('stalled'), limitMs)),
    );
    const aborted = new Promise<'aborted'>((resolve) => {
      onAbort = () => resolve('aborted');
      signal.addEventListener('abort', onAbort);
    });
    const first = await Promise.race([asked, stalled, aborted]);
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    if (first === 'stalled' || first === 'aborted') {
      if (first === 'stalled') {
        slot.retire();
        slot.release();
      }
      void asked.then((late) => {
        if (late.kind === 'open') late.channel.destroy();
        releaseAfter(slot, late);
      });
      if (first === 'aborted') signal.throwIfAborted();
      return { kind: 'stalled' };
    }
    releaseAfter(slot, first);
    return first;
  }

  function releaseAfter(slot: Slot, result: ExecResult): void {
    if (result.kind === 'open') {
      void releaseWhenClosed(slot, result.channel);
      return;
    }
    if (result.kind === 'refused') slot.isFull();
    if (result.kind === 'dead') slot.retire();
    slot.release();
  }

  async function releaseWhenClosed(slot: Slot, channel: SshChannel): Promise<void> {
    await channel.ended;
    if (!(await settledWithin(channel.closed, settings.channelCloseTimeoutMs))) slot.retire();
    slot.release();
  }
}

/** What must be the same for runs to share a connection. The node's name is part of it, for it stands in every message. */
function keyOf(target: SshTarget): string {
  const { node, user, address, port, credential, hostKeyAlias, pins, weakAlgorithms, via } = target;
  const { name, version } = credential;
  const way = via === undefined ? '' : keyOf(via);
  return JSON.stringify([node, user, address, port, name, version, hostKeyAlias, pins, weakAlgorithms, way]);
}

/** One host as sshd counts who connects to it: the same address behind another host is another one. */
function hostOf({ address, port, via }: SshHost): string {
  return via === undefined ? `${address}:${port}` : `${hostOf(via)} > ${address}:${port}`;
}

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    action();
  };
}
