import type { Client } from 'ssh2';
import { describeLoss, describeRefusedForward } from './connect-errors.js';
import type { SshConnection } from './connection.js';
import { refuseHostKey, type PresentedKey } from './host-key.js';
import type { HostKey } from './host-key-blob.js';
import type { Link } from './link.js';
import { shareWindow } from './share-window.js';
import { sshChannel } from './ssh-channel.js';
import type { SshSettings } from './ssh-settings.js';
import type { SshHost } from './ssh-target.js';

/** How long a connection may take to close after the goodbye. */
const GOODBYE_TIMEOUT_MS = 2_000;
/** Why a channel is not opened: the host has none left (RFC 4254, 5.1). */
const RESOURCE_SHORTAGE = 4;

/** A client of the library, and whom it speaks to. */
export interface Ssh2Client {
  readonly client: Client;
  readonly link: Link;
  readonly target: SshHost;
  readonly settings: SshSettings;
  readonly hostKey: () => HostKey | undefined;
}

/** The connection of a client, from the moment on at which it begins to connect. */
export function ssh2Connection({ client, link, target, settings, hostKey }: Ssh2Client): SshConnection {
  let open = true;
  let reason = 'the node closed the connection';
  const isDead = (): boolean => !open || !link.stream.writable;
  // Always listening: an error after the end would otherwise end the process. After any error nothing can be trusted.
  client.on('error', (error) => {
    if (open) reason = link.lostWay() ?? describeLoss(error, settings);
    open = false;
    link.destroy();
  });
  const closed = new Promise<string>((resolve) => {
    const onClose = (): void => {
      if (open) reason = link.lostWay() ?? reason;
      open = false;
      resolve(reason);
    };
    client.once('close', onClose);
    void link.closed.then(onClose);
  });
  const giveUp = (why: string): void => {
    if (open) reason = why;
    open = false;
    link.destroy();
  };
  // Through another host the end of what the node sends comes alone: the way to it stays open.
  client.once('end', () => giveUp(link.lostWay() ?? reason));
  const keyShown = (): HostKey => {
    const key = hostKey();
    if (key === undefined) throw new Error('a connection without a host key');
    return key;
  };
  const keysOnTheWay = (): PresentedKey[] => {
    const { node, address, port, hostKeyAlias, pins } = target;
    return [...link.passed, { node, address, port, hostKeyAlias, pins, key: keyShown() }];
  };
  return {
    get hostKey() {
      return keyShown();
    },
    get presented() {
      return keysOnTheWay();
    },
    get isOpen() {
      return !isDead();
    },
    closed,
    reason: () => reason,
    isTrustedBy(known) {
      return keysOnTheWay().every((shown) => refuseHostKey(shown, known) === undefined);
    },
    exec: (command) =>
      new Promise((resolve) => {
        if (isDead()) return resolve({ kind: 'dead' });
        try {
          client.exec(command, (error, stream) => {
            if (error === undefined) {
              shareWindow(stream, () => giveUp('the node sent more than it was allowed to'));
              resolve({ kind: 'open', channel: sshChannel(stream, () => reason) });
            } else if (isDead()) resolve({ kind: 'dead' });
            else resolve({ kind: 'reason' in error ? 'refused' : 'denied' });
          });
        } catch {
          // The library has seen the end of the link before anybody else has.
          resolve({ kind: 'dead' });
        }
      }),
    forward: (address, port) =>
      new Promise((resolve) => {
        if (isDead()) return resolve({ kind: 'dead' });
        try {
          client.forwardOut('127.0.0.1', 0, address, port, (error, stream) => {
            if (error === undefined) return resolve({ kind: 'open', stream });
            const refusal = 'reason' in error ? Number(error.reason) : undefined;
            if (isDead() || refusal === undefined) resolve({ kind: 'dead' });
            else if (refusal === RESOURCE_SHORTAGE) resolve({ kind: 'busy' });
            else resolve({ kind: 'refused', why: describeRefusedForward(refusal, error.message) });
          });
        } catch {
          resolve({ kind: 'dead' });
        }
      }),
    end() {
      if (open) reason = 'the mediator closed the connection';
      open = false;
      client.end();
      const timer = setTimeout(() => link.destroy(), GOODBYE_TIMEOUT_MS);
      void link.closed.then(() => clearTimeout(timer));
    },
    destroy: () => giveUp('the mediator gave the connection up'),
  };
}
