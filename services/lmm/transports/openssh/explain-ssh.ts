import { RuneError, type ErrorName } from '../../../shared/errors.js';
import { explainFailure, explainTimeout, isDropped, printable, whoIs } from '../ssh/connect-errors.js';
import type { SshTarget } from '../ssh/ssh-target.js';
import { knownAs, refuseHostKey } from '../ssh/host-key.js';
import type { KnownHosts } from '../ssh/known-hosts.js';
import type { SshSettings } from '../ssh/ssh-settings.js';
import type { SshLog } from './ssh-log.js';

/** An ssh that ended before it had a connection. */
export interface FailedSsh {
  readonly target: SshTarget;
  readonly log: SshLog;
  /** The known hosts that it was given. */
  readonly known: KnownHosts;
  /** Such as "OpenSSH_9.2p1". */
  readonly version: string;
  /** How its process ended: a clause. */
  readonly end: string;
  readonly timeoutMs: number;
}

/** Why there is no connection, and whether the node closed it before the key exchange, so that another try is worth it. */
export interface ExplainedSsh {
  readonly error: RuneError;
  readonly dropped: boolean;
}

/** Endings of what ssh prints about a system call, in the C locale. */
const SYSTEM_ERRORS: readonly (readonly [text: string, code: string])[] = [
  ['Connection refused', 'ECONNREFUSED'],
  ['No route to host', 'EHOSTUNREACH'],
  ['Network is unreachable', 'ENETUNREACH'],
  ['Connection timed out', 'ETIMEDOUT'],
  ['Operation timed out', 'ETIMEDOUT'],
  ['Cannot assign requested address', 'EADDRNOTAVAIL'],
  ['Too many open files', 'EMFILE'],
];

/** What ssh says when the node does not let somebody in. */
const REFUSED_LOGIN = /Permission denied|Too many authentication failures/;
/** What ssh says of a connection that ended, or brought what nobody can have sent, after the key exchange. */
const BROKEN =
  /closed by remote host|^ssh_dispatch_run_fatal:|Bad packet length|Corrupted (?:MAC|padlen)|Connection reset|Broken pipe|^Timeout, server/;

/** Finds the error for what ssh said before it ended. What is not understood gets the class of the phase, and the words. */
export function explainSsh(failed: FailedSsh): ExplainedSsh {
  const { target, log, end, timeoutMs } = failed;
  const { phase } = log;
  const words = printable(log.words.join('; ')) || end;
  const says = (pattern: RegExp): boolean => log.words.some((line) => pattern.test(line));
  const make = (name: ErrorName, message: string): ExplainedSsh => ({
    error: new RuneError(name, message, { node: target.node }),
    dropped: false,
  });
  const withCode = (code: string): ExplainedSsh => ({
    error: explainFailure(target, phase, Object.assign(new Error(words), { code })),
    dropped: false,
  });

  if (log.isHostKeyRefused) return { error: explainHostKey(failed, words), dropped: false };
  if (says(/^command-line: line \d+|^Bad configuration option|^unknown option/i)) {
    const message = `The ssh of this mediator (${failed.version}) refuses the options for ${target.node}: ${words}.`;
    return make('TRANSPORT_NOT_AVAILABLE', message);
  }
  if (phase === 'dialling' && target.via !== undefined) {
    return make(classOfWay(says), `${whoIs(target)} cannot be reached: ${words}.`);
  }
  if (says(/^ssh: Could not resolve hostname/)) return withCode('ENOTFOUND');
  if (phase === 'dialling') {
    const code = SYSTEM_ERRORS.find(([text]) => log.words.some((line) => line.endsWith(text)))?.[1];
    if (code !== undefined) return withCode(code);
    return make('NODE_UNREACHABLE', `${whoIs(target)} cannot be reached: ${words}.`);
  }
  if (says(/timed out/i)) return { error: explainTimeout(target, phase, timeoutMs), dropped: false };
  if ((phase === 'authenticating' || phase === 'opening') && says(BROKEN) && !says(REFUSED_LOGIN)) {
    const during = phase === 'opening' ? 'before a session was open' : 'during the login';
    return make('NODE_UNREACHABLE', `The connection to ${whoIs(target)} broke ${during}: ${words}.`);
  }
  const isClosed = says(/^Connection (closed|reset) by |: Connection (closed|reset) by /);
  if (phase === 'authenticating' && !(isClosed && !says(REFUSED_LOGIN)))
    return { error: explainLogin(target, log, words), dropped: false };
  if (isClosed)
    return { error: explainFailure(target, phase, undefined), dropped: isDropped(phase, undefined) };
  if (phase === 'opening') {
    const message = `The system's ssh logged in to ${whoIs(target)} and could not go on: ${words}.`;
    return make('TRANSPORT_NOT_AVAILABLE', message);
  }
  return { error: explainFailure(target, phase, new Error(words)), dropped: false };
}

/** What kept a host on the way, or the one behind it, from being reached. */
function classOfWay(says: (pattern: RegExp) => boolean): ErrorName {
  if (says(/Could not resolve hostname|Name or service not known/)) return 'NODE_NAME_UNRESOLVED';
  if (says(/timed out/)) return 'NODE_CONNECT_TIMEOUT';
  if (says(REFUSED_LOGIN)) return 'AUTHENTICATION_FAILED';
  return 'NODE_UNREACHABLE';
}

function explainHostKey({ target, log, known }: FailedSsh, words: string): RuneError {
  const { node } = target;
  const { hostKey: key, certificate } = log;
  if (key === undefined) {
    // Of a host on the way.
    const name = /was revoked/.test(words)
      ? 'HOST_KEY_REVOKED'
      : /has changed/.test(words)
        ? 'HOST_KEY_CHANGED'
        : 'HOST_KEY_UNKNOWN';
    return new RuneError(name, `A host key on the way to ${whoIs(target)} is not accepted: ${words}.`, {
      node,
    });
  }
  const shown = `${whoIs(target)} presents the ${key.type} host key ${key.fingerprint}`;
  // Of a certificate the authority can be revoked, whose key only ssh sees.
  if (log.isHostKeyRevoked && known.verdict(...knownAs(target), key).kind !== 'revoked')
    return new RuneError('HOST_KEY_REVOKED', `${shown}; it or its certificate authority is revoked.`, {
      node,
    });
  const notCertified =
    certificate === 'none'
      ? 'the node presents no certificate'
      : certificate === 'presented'
        ? 'another authority signed the certificate of the node'
        : `the certificate of the node is not valid (${printable(certificate.fault)})`;
  return (
    refuseHostKey({ ...target, key, notCertified }, known) ??
    new RuneError('HOST_KEY_UNKNOWN', `${shown}, which the system's ssh does not accept: ${words}.`, { node })
  );
}

function explainLogin(target: SshTarget, log: SshLog, words: string): RuneError {
  const { node, user, credential } = target;
  const name = JSON.stringify(credential.name);
  if (log.keyFaults.length > 0) {
    const message = `The credential ${name} cannot be used for ${node}: ${printable(log.keyFaults.join('; '))}.`;
    return new RuneError('CREDENTIAL_UNUSABLE', message, { node });
  }
  const tried = log.offered.join(', ') || 'no key';
  const message =
    log.accepted.length > 0
      ? `${whoIs(target)} refuses the login of ${user} with the credential ${name} (${tried}); it accepts: ${log.accepted.join(', ')}.`
      : `${whoIs(target)} refuses the login of ${user} with the credential ${name} (${tried}): ${words}.`;
  return new RuneError('AUTHENTICATION_FAILED', message, { node });
}

/** One clause for a person: why a connection that was ready is over. */
export function describeSshLoss(log: SshLog, end: string, settings: SshSettings): string {
  const says = (pattern: RegExp): boolean => log.words.some((line) => pattern.test(line));
  if (says(/^Timeout, server .* not responding/)) {
    const seconds = Math.ceil(settings.keepaliveIntervalMs / 1000) * settings.keepaliveCountMax;
    return `the node did not answer for ${seconds} s`;
  }
  if (says(/closed by remote host/)) return 'the node closed the connection';
  if (says(/Connection reset/)) return 'the connection broke (ECONNRESET)';
  if (says(/Broken pipe/)) return 'the connection broke (EPIPE)';
  return printable(log.words.join('; ')) || end;
}
