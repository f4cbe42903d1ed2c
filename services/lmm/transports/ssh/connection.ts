import type { ClientChannel } from 'ssh2';
import { RuneError } from '../../../shared/errors.js';
import type { AuthWays } from './auth-ways.js';
import type { ConnectPhase } from './connect-errors.js';
import type { PresentedKey } from './host-key.js';
import type { HostKey, HostKeyId } from './host-key-blob.js';
import type { KnownHosts } from './known-hosts.js';
import type { KnownHostsSource } from './known-hosts-files.js';
import type { Limiter } from '../limiter.js';
import type { Link } from './link.js';
import type { SshChannel } from './ssh-channel.js';
import type { SshSettings } from './ssh-settings.js';
import type { SshHost, SshTarget } from './ssh-target.js';

/**
 * Connects, checks the host key and logs in, each credential once. Never rejects: a node that cannot be used is an answer.
 */
export type Connect = (
  target: SshTarget,
  context: ConnectContext,
  limits: ConnectLimits,
  progress: ConnectProgress,
) => Promise<ConnectResult>;

/**
 * A link to a host through the host that it names as the way. Rejects with what kept the way from being used, or what that
 * host says of the one behind it; the message says which of them failed.
 */
export type Forward = (target: SshHost, via: SshTarget, limits: ConnectLimits) => Promise<Link>;

/** What every connection needs of the mediator. */
export interface ConnectContext {
  readonly knownHosts: KnownHostsSource;
  readonly authWays: AuthWays;
  /** Places for handshakes in progress. */
  readonly handshakes: Limiter;
  readonly settings: SshSettings;
  /** Links through other hosts. */
  readonly forward: Forward;
}

/** For how long somebody waits for a connection. */
export interface ConnectLimits {
  /** The caller's whole connect timeout, for messages. */
  readonly timeoutMs: number;
  /** What is left of it. */
  readonly leftMs: number;
  /** Aborting it gives the connection up. */
  readonly signal: AbortSignal;
}

/** How far an attempt to connect has got; written by `connect`. */
export interface ConnectProgress {
  phase: ConnectPhase;
}

/** What came of asking for a channel. Nothing was sent through it yet, so asking again is always safe. */
export type ExecResult =
  | { readonly kind: 'open'; readonly channel: SshChannel }
  /** sshd has no session left on this connection. */
  | { readonly kind: 'refused' }
  /** The session was opened and the command was not allowed in it. */
  | { readonly kind: 'denied' }
  | { readonly kind: 'dead' }
  /** The mediator could not ask. */
  | { readonly kind: 'failed'; readonly error: RuneError };

/** What came of asking a host for a link to another one. */
export type ForwardResult =
  | { readonly kind: 'open'; readonly stream: ClientChannel }
  /** `why` continues a sentence about the host that was asked. */
  | { readonly kind: 'refused'; readonly why: string }
  /** The host has no channel left on this connection. */
  | { readonly kind: 'busy' }
  | { readonly kind: 'dead' };

/** One authenticated SSH connection to a verified host. */
export interface SshConnection {
  /** The blob is missing where another program has checked the key. */
  readonly hostKey: HostKeyId | HostKey;
  /** The host keys of this host and of those on the way to it. */
  readonly presented: readonly PresentedKey[];
  readonly isOpen: boolean;
  /** Why it is over, once it is not open. */
  reason(): string;
  /** Resolves once, with a clause that says why the connection is over. */
  readonly closed: Promise<string>;
  exec(command: string): Promise<ExecResult>;
  /** Asks the host to connect to another one, whose name it resolves. */
  forward(address: string, port: number): Promise<ForwardResult>;
  /** Whether the host would be trusted by these known hosts as well. */
  isTrustedBy(known: KnownHosts): boolean;
  /** Says goodbye and closes; open channels are lost. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

export type ConnectResult = ConnectSuccess | ConnectFailure;

interface ConnectSuccess {
  readonly ok: true;
  readonly connection: SshConnection;
  /** The host key algorithms that the node offers. */
  readonly offered: readonly string[];
}

/** The host key that a node has shown, and the host key algorithms that it offers. */
export type LookResult =
  { readonly ok: true; readonly hostKey: HostKey; readonly offered: readonly string[] } | ConnectFailure;

/** Why there is no connection. */
export interface ConnectFailure {
  readonly ok: false;
  readonly error: RuneError;
  /** The node closed before the key exchange: worth another try. */
  readonly dropped: boolean;
  /** The key that the node presented, if it got so far. */
  readonly hostKey: HostKeyId | HostKey | undefined;
  /** The host key algorithms that the node offers; empty if it did not say. */
  readonly offered: readonly string[];
}

/** A failure before anything was sent to the node. */
export function failedBefore(error: unknown): ConnectFailure {
  return { ok: false, error: RuneError.from(error), dropped: false, hostKey: undefined, offered: [] };
}
