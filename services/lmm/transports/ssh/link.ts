import { connect, type Socket } from 'node:net';
import type { ClientChannel } from 'ssh2';
import { settledWithin } from '../../../shared/settled-within.js';
import type { PresentedKey } from './host-key.js';
import { writeTogether } from './write-together.js';

/** The bytes to and from a host: a socket, or a channel through another host. */
export interface Link {
  readonly stream: Socket | ClientChannel;
  /** The host keys of the hosts on the way. */
  readonly passed: readonly PresentedKey[];
  /** Resolves when the link is over; some time after `destroy` in any case. */
  readonly closed: Promise<void>;
  /** Gives the link up at once; harmless when repeated. */
  destroy(): void;
  /** One clause for a person if the way there is lost: a host on it. */
  lostWay(): string | undefined;
}

/** Calls an address. The answer must be listened to in the same turn: it may fail at once. */
export function callHost(address: string, port: number): Link {
  // With TCP_NODELAY from the first byte a command takes a few milliseconds instead of 40 and more.
  const stream = connect({ host: address, port, noDelay: true });
  writeTogether(stream);
  return {
    stream,
    passed: [],
    closed: new Promise((resolve) => stream.once('close', () => resolve())),
    destroy: () => void stream.destroy(),
    lostWay: () => undefined,
  };
}

/**
 * A channel to another host as a link. A host on the way that does not close the channel is not waited for longer than
 * `closeTimeoutMs`.
 */
export function linkThrough(
  stream: ClientChannel,
  { closeTimeoutMs, ...way }: Pick<Link, 'passed' | 'lostWay'> & { readonly closeTimeoutMs: number },
): Link {
  let giveUp = (): void => undefined;
  const givenUp = new Promise<void>((resolve) => (giveUp = resolve));
  const ended = new Promise<void>((resolve) => stream.once('close', () => resolve()));
  // Errors of a stream whose host is lost; `closed` tells.
  stream.on('error', () => undefined);
  return {
    ...way,
    stream,
    closed: Promise.race([
      ended,
      givenUp.then(() => settledWithin(ended, closeTimeoutMs)).then(() => undefined),
    ]),
    destroy() {
      giveUp();
      stream.close();
      // The close of the other side is seen only when what it sent before was read.
      stream.resume();
    },
  };
}
