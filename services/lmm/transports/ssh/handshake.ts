import ssh2, { type AnyAuthMethod } from 'ssh2';
import { RuneError } from '../../../shared/errors.js';
import { algorithmsFor, type AlgorithmChoice } from './algorithms.js';
import type { AuthWay } from './auth-ways.js';
import { explainFailure, explainTimeout, givenUp, isDropped } from './connect-errors.js';
import type { ConnectContext, ConnectLimits, ConnectProgress, ConnectResult } from './connection.js';
import { parseHostKey, type HostKey } from './host-key-blob.js';
import { ignoreOtherHostKeys } from './ignore-other-host-keys.js';
import type { Link } from './link.js';
import { createLoginOrder } from './login-order.js';
import { watchOfferedAlgorithms } from './offered-algorithms.js';
import { ssh2Connection } from './ssh2-connection.js';
import type { SshHost } from './ssh-target.js';

/** One try to connect over a link, and to log in where that is wanted. */
export interface Handshake {
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

/** Exchanges keys over the link and logs in. Never rejects; where it fails, the link is gone. */
export function handshake(attempt: Handshake): Promise<ConnectResult> {
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

    const connection = ssh2Connection({ client, link, target, settings, hostKey: () => hostKey });
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
      ignoreOtherHostKeys(client);
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

function refusedLogin(
  { node, address, port }: SshHost,
  login: Handshake['login'],
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
