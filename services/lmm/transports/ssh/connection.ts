import ssh2, { type AnyAuthMethod, type Client, type ClientChannel } from 'ssh2';
import { RuneError } from '../../../shared/errors.js';
import type { Credential } from '../../credentials/credentials.js';
import { algorithmsFor, type AlgorithmChoice } from './algorithms.js';
import type { AuthWay, AuthWays } from './auth-ways.js';
import {
  describeLoss,
  describeRefusedForward,
  explainFailure,
  explainTimeout,
  isDropped,
  type ConnectPhase,
} from './connect-errors.js';
import type { Forward } from './forward.js';
import { knownAs, refuseHostKey, type PresentedKey } from './host-key.js';
import { parseHostKey, type HostKey, type HostKeyId } from './host-key-blob.js';
import type { KnownHosts } from './known-hosts.js';
import type { KnownHostsSource } from './known-hosts-files.js';
import type { Limiter } from '../limiter.js';
import { callHost, type Link } from './link.js';
import { createLoginOrder } from './login-order.js';
import { watchOfferedAlgorithms } from './offered-algorithms.js';
import { shareWindow } from './share-window.js';
import { sshChannel, type SshChannel } from './ssh-channel.js';
import type { SshSettings } from './ssh-settings.js';

/** Whom to connect to, and as whom. */
export interface SshTarget {
  /** The node's name in the inventory, for messages. */
  readonly node: string;
  readonly address: string;
  readonly port: number;
  readonly user: string;
  readonly credential: Credential;
  /** The name under which known_hosts holds its keys, if it is another one. */
  readonly hostKeyAlias: string | undefined;
  /** Pinned fingerprints; empty for none. */
  readonly pins: readonly string[];
  /** Offer algorithms with SHA-1 and CBC too. */
  readonly weakAlgorithms: boolean;
  /** The host that connections to this one go through. */
  readonly via: SshTarget | undefined;
}

/** A host to look at, without logging in. */
export type SshHost = Omit<SshTarget, 'user' | 'credential'>;

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

/** How long a connection may take to close after the goodbye. */
const GOODBYE_TIMEOUT_MS = 2_000;
/** Why a channel is not opened: the host has none left (RFC 4254, 5.1). */
const RESOURCE_SHORTAGE = 4;

/**
 * Connects, checks the host key and logs in, each credential once. Never rejects: a node that cannot be used is an answer.
 */
export type Connect = (
  target: SshTarget,
  context: ConnectContext,
  limits: ConnectLimits,
  progress: ConnectProgress,
) => Promise<ConnectResult>;

/** Connects with the library ssh2. */
export const connect: Connect = async (target, context, limits, progress) => {
  const startedMs = performance.now();
  try {
    // Before anything else, so that a credential that cannot be used costs no connection.
    const { user, weakAlgorithms } = target;
    const ways = await context.authWays.load(target.credential, { user, weakAlgorithms });
    const known = await readKnown(target, context.knownHosts);
    const leftMs = leftOf(limits, startedMs);
    if (limits.signal.aborted) throw givenUp(target);
    progress.phase = 'dialling';
    const link =
      target.via === undefined ? undefined : await context.forward(target, target.via, { ...limits, leftMs });
    return await handshake({
      target,
      context,
      link: link ?? callHost(target.address, target.port),
      login: { user, ways, credential: target.credential.name },
      algorithms: { first: typesToAskFor(target, known), weakAlgorithms },
      refuse: (key) => refuseHostKey({ ...target, key }, known),
      limits: { ...limits, leftMs: leftOf(limits, startedMs) },
      progress,
    });
  } catch (error) {
    return failedBefore(error);
  }
};

/** Connects until the node has shown a host key of one of these types, and no further. Never rejects. */
export async function lookAtHostKey(
  target: SshHost,
  types: readonly string[] | undefined,
  context: ConnectContext,
  limits: ConnectLimits,
  progress: ConnectProgress,
): Promise<LookResult> {
  const startedMs = performance.now();
  if (limits.signal.aborted) return failedBefore(givenUp(target));
  let link: Link | undefined;
  try {
    if (target.via !== undefined) link = await context.forward(target, target.via, limits);
  } catch (error) {
    return failedBefore(error);
  }
  const { weakAlgorithms } = target;
  const result = await handshake({
    target,
    context,
    link: link ?? callHost(target.address, target.port),
    login: undefined,
    algorithms: { first: [], weakAlgorithms, ...(types === undefined ? {} : { only: types }) },
    refuse: () => givenUp(target),
    limits: { ...limits, leftMs: leftOf(limits, startedMs) },
    progress,
  });
  if (result.ok) return failedBefore(new Error('a login that nobody asked for'));
  const { hostKey, offered } = result;
  return hostKey !== undefined && 'blob' in hostKey ? { ok: true, hostKey, offered } : result;
}

const leftOf = ({ leftMs }: ConnectLimits, startedMs: number): number =>
  Math.max(1, leftMs - (performance.now() - startedMs));

/** The known hosts, or HOST_KEY_UNKNOWN if a file cannot be read: then nothing can be verified. */
export async function readKnown(target: SshHost, source: KnownHostsSource): Promise<KnownHosts> {
  try {
    return await source.current();
  } catch (error) {
    const message = `A known_hosts file of this mediator cannot be read, so ${target.node} cannot be verified.`;
    throw new RuneError('HOST_KEY_UNKNOWN', message, { node: target.node }, { cause: error });
  }
}

interface Attempt {
  readonly target: SshHost;
  readonly context: ConnectContext;
  readonly link: Link;
  readonly login:
    { readonly user: string; readonly credential: string; readonly ways: readonly AuthWay[] } | undefined;
  readonly algorithms: AlgorithmChoice;
  /** Why the host key is not accepted, if it is not. */
  readonly refuse: (key: HostKey) => RuneError | undefined;
  readonly limits: ConnectLimits;
  readonly progress: ConnectProgress;
}

function handshake(attempt: Attempt): Promise<ConnectResult> {
  const { target, context, link, login, progress } = attempt;
  const { timeoutMs, leftMs, signal } = attempt.limits;
  const { settings } = context;
  return new Promise((resolve) => {
    let hostKey: HostKey | undefined;
    const offered = watchOfferedAlgorithms();
    let settled = false;
    let leavePlace = (): void => undefined;
    let holdTimer: NodeJS.Timeout | undefined;

    const { stream } = link;
    // A link through another host is there already.
    progress.phase = target.via === undefined ? 'dialling' : 'greeting';
    const client = new ssh2.Client();

    const settle = (result: ConnectResult): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      clearTimeout(holdTimer);
      signal.removeEventListener('abort', onAbort);
      leavePlace();
      stream.off('data', offered.push);
      if (!result.ok) link.destroy();
      resolve(result);
    };
    const fail = (error: RuneError, dropped = false): void =>
      settle({ ok: false, error, dropped, hostKey, offered: offered.hostKeys() });
    const timer = setTimeout(() => fail(explainTimeout(target, progress.phase, timeoutMs)), leftMs);
    const onAbort = (): void => fail(givenUp(target));
    signal.addEventListener('abort', onAbort);

    const connection = watchConnection({ client, link, target, settings, hostKey: () => hostKey });
    client.on('error', (error) =>
      fail(explainFailure(target, progress.phase, error), isDropped(progress.phase, error)),
    );
    client.on('close', () =>
      fail(explainFailure(target, progress.phase, undefined), isDropped(progress.phase, undefined)),
    );
    client.once('ready', () => settle({ ok: true, connection, offered: offered.hostKeys() }));
    client.once('handshake', () => {
      progress.phase = 'authenticating';
    });
    stream.once('connect', () => {
      progress.phase = 'greeting';
    });

    const order = createLoginOrder(login?.ways ?? []);
    let methods: readonly string[] | undefined;
    client.once('change password', () => {
      const message = `${target.node} wants a new password for ${login?.user} before it lets anybody in.`;
      fail(new RuneError('AUTHENTICATION_FAILED', message, { node: target.node }));
    });
    try {
      client.connect({
        sock: stream,
        username: login?.user ?? '',
        ident: 'rune',
        readyTimeout: 0,
        keepaliveInterval: settings.keepaliveIntervalMs,
        keepaliveCountMax: settings.keepaliveCountMax,
        algorithms: algorithmsFor(attempt.algorithms),
        hostVerifier: (blob: Buffer) => {
          hostKey = parseHostKey(blob);
          const error = hostKey
            ? attempt.refuse(hostKey)
            : explainFailure(target, progress.phase, new Error('the host key is malformed'));
          if (error) fail(error);
          return error === undefined;
        },
        authHandler: (left, _partial, next: (method: AnyAuthMethod) => void) => {
          methods = left ?? methods;
          const way = order.next(methods);
          if (way) next(way.method);
          else fail(refusedLogin(target, login, order.tried(), methods ?? []));
        },
      });
    } catch (error) {
      fail(
        new RuneError(
          'INTERNAL',
          'The SSH library refused its settings.',
          { node: target.node },
          { cause: error },
        ),
      );
      return;
    }

    stream.on('data', offered.push);
    // The place is taken by nodes that speak, not by those that may never do: they would keep the others waiting.
    stream.once('data', () => {
      progress.phase = 'queued';
      stream.pause();
      leavePlace = context.handshakes.take(() => {
        progress.phase = 'handshake';
        holdTimer = setTimeout(() => leavePlace(), settings.handshakeHoldMs);
        stream.resume();
      });
    });
  });
}

const givenUp = (target: SshHost): RuneError =>
  new RuneError('CALL_CANCELLED', `Connecting to ${target.node} was given up.`, { node: target.node });

/** Types by which the host is known come first, those of pinned keys before all. */
function typesToAskFor(target: SshHost, known: KnownHosts): string[] {
  const keys = known.keysOf(...knownAs(target));
  const pinned = keys.filter((key) => target.pins.includes(key.fingerprint));
  return [...pinned, ...keys].map((key) => key.type);
}

function refusedLogin(
  { node, address, port }: SshHost,
  login: Attempt['login'],
  labels: readonly string[],
  accepted: readonly string[],
): RuneError {
  const tried = [...new Set(labels)].join(', ') || 'nothing that it takes';
  const offers = accepted.filter((method) => /^[a-z0-9@.-]{1,64}$/.test(method)).slice(0, 10);
  const message =
    `${node} (${address}:${port}) refuses the login of ${login?.user} with the credential ${JSON.stringify(login?.credential)} ` +
    `(${tried}); it accepts: ${offers.join(', ') || 'nothing'}.`;
  return new RuneError('AUTHENTICATION_FAILED', message, { node });
}

interface Watched {
  readonly client: Client;
  readonly link: Link;
  readonly target: SshHost;
  readonly settings: SshSettings;
  readonly hostKey: () => HostKey | undefined;
}

function watchConnection({ client, link, target, settings, hostKey }: Watched): SshConnection {
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
        client.exec(command, (error, stream) => {
          if (error === undefined) {
            shareWindow(stream, () => giveUp('the node sent more than it was allowed to'));
            resolve({ kind: 'open', channel: sshChannel(stream, () => reason) });
          } else if (isDead()) resolve({ kind: 'dead' });
          else resolve({ kind: 'reason' in error ? 'refused' : 'denied' });
        });
      }),
    forward: (address, port) =>
      new Promise((resolve) => {
        if (isDead()) return resolve({ kind: 'dead' });
        client.forwardOut('127.0.0.1', 0, address, port, (error, stream) => {
          if (error === undefined) return resolve({ kind: 'open', stream });
          const refusal = 'reason' in error ? Number(error.reason) : undefined;
          if (isDead() || refusal === undefined) resolve({ kind: 'dead' });
          else if (refusal === RESOURCE_SHORTAGE) resolve({ kind: 'busy' });
          else resolve({ kind: 'refused', why: describeRefusedForward(refusal, error.message) });
        });
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
