import { RuneError } from '../../../shared/errors.js';
import { settledWithin } from '../../../shared/settled-within.js';
import { explainTimeout } from './connect-errors.js';
import type { Patience } from './connect-persistently.js';
import type { ConnectContext, Forward, ForwardResult } from './connection.js';
import { readKnown } from './read-known.js';
import type { SshHost, SshTarget } from './ssh-target.js';
import { pauseWithJitter } from './jitter.js';
import { linkThrough, type Link } from './link.js';
import type { NodeConnections, Slot } from './node-connections.js';
import type { PoolCounters } from './pool-metrics.js';

/** What links through other hosts are made with. */
export interface ForwardContext extends Pick<ConnectContext, 'knownHosts' | 'settings'> {
  readonly counters: PoolCounters;
  /** The connections to a host that links go through. */
  readonly connectionsTo: (via: SshTarget) => NodeConnections;
}

/** So that a host on the way, which is waited for as long as the one behind it, is the one that the message names. */
const MARGIN_MS = 100;
/** How long a host may take to say that it is there. */
const ANSWER_TIMEOUT_MS = 1_000;
/** No host has anything there: every one refuses at once, and so shows that it is alive. */
const NOWHERE = { address: '127.0.0.1', port: 0 };

/** Makes links through pooled connections. */
export function createForward({ knownHosts, settings, counters, connectionsTo }: ForwardContext): Forward {
  return async (target, via, { timeoutMs, leftMs, signal }) => {
    const deadlineMs = performance.now() + leftMs - Math.min(MARGIN_MS, leftMs / 10);
    const patience: Patience = { timeoutMs, deadlineMs, signal };
    let replaced = false;
    for (let refusals = 0; ;) {
      const slot = await takeSlot(target, via, patience);
      const result = await open(slot, target, patience);
      switch (result.kind) {
        case 'open':
          return keepSlot(slot, via, result);
        case 'refused':
          throw unreachable(target, `${via.node} ${result.why}`);
        case 'timeout':
          throw explainTimeout(target, 'dialling', timeoutMs);
        case 'busy':
          refusals += 1;
          if (await pauseWithJitter(refusals, deadlineMs, signal)) continue;
          throw unreachable(target, `${via.node} refused ${refusals} times to connect to it`, via);
        case 'dead':
          if (replaced)
            throw unreachable(target, `${via.node} closed two connections, or did not answer`, via);
          replaced = true;
          counters.replaced += 1;
      }
    }
  };

  async function takeSlot(target: SshHost, via: SshTarget, patience: Patience): Promise<Slot> {
    try {
      const known = await readKnown(via, knownHosts);
      const connections = connectionsTo(via);
      connections.verifyAgain(known);
      return await connections.take(patience);
    } catch (thrown) {
      if (patience.signal.aborted) throw thrown;
      const { name, message, recoverAt = via.node } = RuneError.from(thrown);
      const { node } = target;
      const words = `${node} is reached through ${via.node}, and that failed: ${message}`;
      throw new RuneError(name, words, { node }, { cause: thrown, recoverAt });
    }
  }

  type Opened = ForwardResult | { readonly kind: 'timeout' };

  async function open(slot: Slot, target: SshHost, patience: Patience): Promise<Opened> {
    const asked = slot.connection.forward(target.address, target.port);
    const left = (): number => Math.max(1, patience.deadlineMs - performance.now());
    let result = await within(asked, Math.min(settings.channelOpenTimeoutMs, left() / 2), patience.signal);
    if (result === undefined && !patience.signal.aborted) {
      // Which of the two does not answer: the host on the way, or the one behind it?
      result = (await isAlive(slot, left()))
        ? await within(asked, left(), patience.signal)
        : { kind: 'dead' };
    }
    if (result === undefined || result.kind !== 'open') {
      if (result?.kind === 'dead') slot.retire();
      void asked.then((late) => late.kind === 'open' && late.stream.close());
      slot.release();
      patience.signal.throwIfAborted();
    }
    return result ?? { kind: 'timeout' };
  }

  async function isAlive(slot: Slot, leftMs: number): Promise<boolean> {
    const answer = slot.connection.forward(NOWHERE.address, NOWHERE.port);
    void answer.then((late) => late.kind === 'open' && late.stream.close());
    const said = await within(answer, Math.min(ANSWER_TIMEOUT_MS, leftMs));
    return said !== undefined && said.kind !== 'dead';
  }

  function keepSlot(slot: Slot, via: SshTarget, { stream }: ForwardResult & { kind: 'open' }): Link {
    const { connection } = slot;
    const link = linkThrough(stream, {
      closeTimeoutMs: settings.channelCloseTimeoutMs,
      passed: connection.presented,
      lostWay: () =>
        connection.isOpen
          ? undefined
          : `the connection to the jump host ${via.node} ended (${connection.reason()})`,
    });
    let isClosed = false;
    stream.once('close', () => (isClosed = true));
    void link.closed.then(() => {
      if (!isClosed) slot.retire();
      slot.release();
    });
    return link;
  }
}

/** The value, or undefined if it does not come in time or the signal is aborted first. */
async function within<T>(value: Promise<T>, limitMs: number, signal?: AbortSignal): Promise<T | undefined> {
  let onAbort = (): void => undefined;
  const aborted = new Promise<void>((resolve) => {
    onAbort = resolve;
    signal?.addEventListener('abort', onAbort);
  });
  let found: T | undefined;
  const done = value.then((each) => void (found = each));
  await settledWithin(Promise.race([done, aborted]), limitMs);
  signal?.removeEventListener('abort', onAbort);
  return found;
}

function unreachable({ node, address, port }: SshHost, why: string, cause?: SshTarget): RuneError {
  const message = `${node} (${address}:${port}) cannot be reached: ${why}.`;
  return new RuneError('NODE_UNREACHABLE', message, { node }, { recoverAt: cause?.node });
}
