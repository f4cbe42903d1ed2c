import { RuneError, type ErrorName } from '../../../shared/errors.js';
import type { SshSettings } from './ssh-settings.js';

/**
 * How far a connection got: looking up and calling the address; waiting for the first byte; waiting for a place among the
 * handshakes in progress; exchanging keys; logging in; opening a session.
 */
export type ConnectPhase = 'dialling' | 'greeting' | 'queued' | 'handshake' | 'authenticating' | 'opening';

interface Named {
  readonly node: string;
  readonly address: string;
  readonly port: number;
  /** The host that the way goes through. */
  readonly via: { readonly node: string } | undefined;
}

/** Error codes of a name that has no address, or whose name service does not answer. */
const NAME_CODES: ReadonlySet<string> = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EAI_NODATA',
  'EAI_NONAME',
]);
/** Error codes of a mediator that has run out of something. */
const OWN_CODES: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS', 'ENOMEM']);
const HOSTILE_TEXT_LENGTH_MAX = 200;
const ADMINISTRATIVELY_PROHIBITED = 1;

/** The error for a connection that nobody waits for any more. */
export const givenUp = ({ node }: Pick<Named, 'node'>): RuneError =>
  new RuneError('CALL_CANCELLED', `Connecting to ${node} was given up.`, { node });

/** The error for a connection that was not ready in time. */
export function explainTimeout(target: Named, phase: ConnectPhase, timeoutMs: number): RuneError {
  const who = whoIs(target);
  const within = `within ${timeoutMs / 1000} s`;
  if (phase === 'queued') {
    const message = `This mediator makes so many connections at once that ${who} had no turn ${within}.`;
    return named('MEDIATOR_FULL', message, target);
  }
  const what = {
    dialling: `${who} did not accept a connection ${within}.`,
    greeting: `${who} accepted the connection and then said nothing ${within}.`,
    handshake: `${who} began an SSH handshake and did not finish it ${within}.`,
    authenticating: `${who} did not answer the login ${within}.`,
    opening: `${who} accepted the login and did not open a session ${within}.`,
  }[phase];
  return named('NODE_CONNECT_TIMEOUT', what, target);
}

/** The error for a connection that failed before it was ready; undefined for a close without an error. */
export function explainFailure(target: Named, phase: ConnectPhase, error: Error | undefined): RuneError {
  const who = whoIs(target);
  const make = (name: ErrorName, message: string): RuneError => named(name, message, target, error);
  const code = codeOf(error);
  const level = error && 'level' in error ? error.level : undefined;
  if (NAME_CODES.has(code)) {
    return make(
      'NODE_NAME_UNRESOLVED',
      `The address ${target.address} of ${target.node} cannot be resolved (${code}).`,
    );
  }
  if (OWN_CODES.has(code))
    return make('MEDIATOR_FULL', `This mediator cannot open a connection to ${who} (${code}).`);
  if (code === 'ETIMEDOUT') return make('NODE_CONNECT_TIMEOUT', `${who} does not answer (${code}).`);
  if (level === 'agent') {
    const why = printable(error?.message ?? '');
    return make('CREDENTIAL_UNUSABLE', `The ssh-agent would not sign the login to ${who}: ${why}.`);
  }
  if (phase === 'authenticating') {
    if (error === undefined || level === 'client-socket') {
      return make('NODE_UNREACHABLE', `${who} closed the connection during the login${inBrackets(code)}.`);
    }
    const why = printable(error.message);
    // A number is the node's own reason to hang up; what the library complains about says nothing about the login.
    if (level === 'client-authentication' || ('code' in error && typeof error.code === 'number'))
      return make('AUTHENTICATION_FAILED', `${who} ended the login: ${why}.`);
    return make('NODE_UNREACHABLE', `The connection to ${who} broke during the login: ${why}.`);
  }
  if (phase === 'dialling') return make('NODE_UNREACHABLE', `${who} cannot be reached${inBrackets(code)}.`);
  if (isDropped(phase, error)) {
    const message = `${who} accepted the connection and closed it before the SSH handshake${inBrackets(code)}.`;
    return make('NODE_UNREACHABLE', message);
  }
  const why = error ? printable(error.message) : 'it closed the connection';
  return make('NODE_HANDSHAKE_FAILED', `The SSH handshake with ${who} failed: ${why}.`);
}

/** Whether the node closed or reset a connection it had accepted, before any key exchange: as sshd does when it is busy. */
export function isDropped(phase: ConnectPhase, error: Error | undefined): boolean {
  if (phase === 'dialling' || phase === 'authenticating') return false;
  if (error === undefined) return true;
  if (codeOf(error) === 'ECONNRESET' || codeOf(error) === 'EPIPE') return true;
  return error.message === 'Connection lost before handshake';
}

/** One clause for a person: why a connection that was ready is over. */
export function describeLoss(error: Error, settings: SshSettings): string {
  if (error.message === 'Keepalive timeout') {
    const seconds = (settings.keepaliveIntervalMs * settings.keepaliveCountMax) / 1000;
    return `the node did not answer for ${seconds} s`;
  }
  const code = codeOf(error);
  if (code !== '') return `the connection broke (${code})`;
  return `the connection ended: ${printable(error.message)}`;
}

function named(name: ErrorName, message: string, target: Named, cause?: unknown): RuneError {
  return new RuneError(name, message, { node: target.node }, { cause });
}

/** A node as messages name it. */
export const whoIs = ({ node, address, port, via }: Named): string =>
  `${node} (${address}:${port}${via === undefined ? '' : ` through ${via.node}`})`;

/** Why a host would not connect to another one, from its answer to a request for a channel (RFC 4254, 5.1). */
export function describeRefusedForward(reason: number, description: string): string {
  if (reason === ADMINISTRATIVELY_PROHIBITED) {
    return 'does not allow connections to it (AllowTcpForwarding, PermitOpen)';
  }
  return `cannot connect to it (${printable(description) || `reason ${reason}`})`;
}

const codeOf = (error: Error | undefined): string =>
  error && 'code' in error && typeof error.code === 'string' ? error.code : '';

const inBrackets = (code: string): string => (code === '' ? '' : ` (${code})`);

/** What the other side wrote, fit for a message: bounded, one line, no control characters. */
export const printable = (text: string): string =>
  text
    .slice(0, HOSTILE_TEXT_LENGTH_MAX)
    .replace(/[^\x20-\x7e]+/g, ' ')
    .replace(/\.$/, '');
