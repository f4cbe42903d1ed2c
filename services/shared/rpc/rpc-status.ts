import { Metadata, status as grpcStatus } from '@grpc/grpc-js';
import { fromEps, isErrorName, shrinkEps } from '../messages/eps.js';
import { startOf } from '../bounded-text.js';
import { ERRORS, GRPC_STATUS, RuneError } from '../errors.js';
import type { ErrorName } from '../errors.js';
import type { Any } from '../gen/google/protobuf/any.js';
import { BadRequest, ErrorInfo, RetryInfo } from '../gen/google/rpc/error_details.js';
import { Status } from '../gen/google/rpc/status.js';
import { EpsError } from '../gen/rune/v1/eps.js';
import { toDuration, toMs } from '../messages/duration.js';
import { NOT_CONNECTED } from './not-connected.js';

/** A call's end as grpc-js takes it and gives it. */
export interface CallStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

const DETAILS_KEY = 'grpc-status-details-bin';
const TYPE_PREFIX = 'type.googleapis.com/';
const ERROR_DOMAIN = 'rune.v1';
/** Proxies commonly allow 8 KiB of headers; the rest of the trailer is small. */
const TRAILER_BYTES_MAX = 7_000;
/** When a caller may try again an error that is worth it. */
const RETRY_DELAY_MS = 1_000;
/** Shares of the evidence that are tried until the trailer fits. */
const SHARES = [1, 0.5, 0.25, 0.12, 0.05, 0];
/** Bound of a text that another server sent. */
const FOREIGN_TEXT_BYTES_MAX = 300;

/**
 * An EPS message as the status that ends a call. The details hold the EpsError and, for tools that know only the standard
 * ones, ErrorInfo, BadRequest and RetryInfo. Evidence is shortened until the whole trailer is under 7 KB.
 */
export function statusOf(eps: EpsError): CallStatus {
  const name = eps.errorData?.name ?? '';
  const row = isErrorName(name) ? ERRORS[name] : ERRORS.INTERNAL;
  const code = GRPC_STATUS[row.grpc];
  for (const share of SHARES) {
    const fitted = share === 1 ? eps : shrinkEps(eps, share);
    const message = fitted.errorData?.message ?? '';
    const details = Buffer.from(
      Status.encode({ code, message, details: detailsOf(fitted, name, row.retryable) }).finish(),
    );
    const trailerBytes = Math.ceil(details.length / 3) * 4 + encodeURI(message).length;
    if (trailerBytes > TRAILER_BYTES_MAX && share > 0) continue;
    const metadata = new Metadata();
    if (trailerBytes <= TRAILER_BYTES_MAX) metadata.set(DETAILS_KEY, details);
    return { code, details: message, metadata };
  }
  return { code, details: name, metadata: new Metadata() };
}

function detailsOf(eps: EpsError, name: string, retryable: boolean): Any[] {
  const any = (type: string, value: Uint8Array): Any => ({
    typeUrl: TYPE_PREFIX + type,
    value: Buffer.from(value),
  });
  const details = [
    any('rune.v1.EpsError', EpsError.encode(eps).finish()),
    any(
      'google.rpc.ErrorInfo',
      ErrorInfo.encode({ reason: name, domain: ERROR_DOMAIN, metadata: {} }).finish(),
    ),
  ];
  const faults = eps.errorData?.data?.validationErrors ?? [];
  if (faults.length > 0) {
    details.push(any('google.rpc.BadRequest', BadRequest.encode({ fieldViolations: faults }).finish()));
  }
  if (retryable) {
    details.push(
      any('google.rpc.RetryInfo', RetryInfo.encode({ retryDelay: toDuration(RETRY_DELAY_MS) }).finish()),
    );
  }
  return details;
}

/**
 * The error that a status received from `address` means: its EPS detail if it has one, with the time of its RetryInfo, else by its
 * code.
 */
export function errorOfStatus(status: Partial<CallStatus>, address: string): RuneError {
  try {
    const details = receivedDetails(status.metadata);
    const eps = details.get('rune.v1.EpsError');
    if (eps !== undefined) return fromEps(EpsError.decode(eps), retryAfterMs(details));
  } catch {
    // What cannot be decoded is not ours: the status code still tells what happened.
  }
  return foreignError(status.code ?? grpcStatus.UNKNOWN, status.details ?? '', address);
}

/** What a status holds besides its code and text, by type. */
function receivedDetails(metadata: Metadata | undefined): ReadonlyMap<string, Buffer> {
  const [value] = metadata?.get(DETAILS_KEY) ?? [];
  if (!Buffer.isBuffer(value)) return new Map();
  const { details } = Status.decode(value);
  return new Map(details.map(({ typeUrl, value: bytes }) => [typeUrl.replace(TYPE_PREFIX, ''), bytes]));
}

function retryAfterMs(details: ReadonlyMap<string, Buffer>): number | undefined {
  const bytes = details.get('google.rpc.RetryInfo');
  try {
    const delay = bytes && RetryInfo.decode(bytes).retryDelay;
    return delay && Math.max(0, toMs(delay));
  } catch {
    // A hint that cannot be read is none; the error beside it is what matters.
    return undefined;
  }
}

/** A status without EPS detail: made by the library, a proxy or another kind of server. */
function foreignError(code: number, text: string, address: string): RuneError {
  const details = startOf(text, FOREIGN_TEXT_BYTES_MAX);
  const said = details === '' ? '' : `: ${details}`;
  const codeName = grpcStatus[code] ?? String(code);
  const make = (name: ErrorName, message: string): RuneError =>
    new RuneError(name, message, { reason: codeName }, { cause: details });
  switch (code) {
    case grpcStatus.UNAVAILABLE:
      return new RuneError(
        'SERVICE_UNREACHABLE',
        `The service at ${address} cannot be reached${whyUnreachable(text)}.`,
        { reason: NEVER_SENT.test(text) ? NOT_CONNECTED : codeName },
        { cause: details },
      );
    case grpcStatus.INTERNAL:
      return details.startsWith('Received RST_STREAM')
        ? make('SERVICE_UNREACHABLE', `The connection to the service at ${address} was lost${said}`)
        : make('INTERNAL', `The service at ${address} answered ${codeName}${said}`);
    case grpcStatus.DEADLINE_EXCEEDED:
      return make(
        'CALL_DEADLINE_EXCEEDED',
        `The service at ${address} did not answer within the deadline of the call.`,
      );
    case grpcStatus.CANCELLED:
      return make('CALL_CANCELLED', `The call to ${address} was cancelled.`);
    case grpcStatus.RESOURCE_EXHAUSTED:
      return /larger than/.test(details)
        ? make('MESSAGE_TOO_LARGE', `A message of the call to ${address} is too large${said}`)
        : make('INTERNAL', `The service at ${address} has no room${said}`);
    case grpcStatus.UNIMPLEMENTED:
      return make('METHOD_NOT_FOUND', `The service at ${address} does not serve this method${said}`);
    case grpcStatus.INVALID_ARGUMENT:
    case grpcStatus.OUT_OF_RANGE:
      return make('INVALID_REQUEST', `The service at ${address} refused the request${said}`);
    default:
      return make('INTERNAL', `The service at ${address} answered ${codeName}${said}`);
  }
}

/** How the library says that it had no connection to send the call on. */
const NEVER_SENT = /^(?:No connection established|Name resolution failed|No addresses resolved)/;

/** Why no connection came about, by what the library's and the system's texts hold; the first that fits. */
const UNREACHABLE: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, 'connection refused'],
  [/ENOTFOUND|EAI_AGAIN|Name resolution failed|No addresses resolved/, 'the name is not known'],
  [/ENOENT/, 'there is no such socket'],
  [/EACCES|EPERM/, 'this user may not connect to it'],
  [/EHOSTUNREACH|ENETUNREACH/, 'there is no way to this host'],
  [/certificate|self.signed|CERT_|SSL|TLS|EPROTO|altnames/i, 'TLS refused'],
  [/ECONNRESET|EPIPE|dropped|socket hang up|disconnected/i, 'the connection was closed'],
  [/ETIMEDOUT|timed? ?out/i, 'no answer'],
];

function whyUnreachable(text: string): string {
  const known = UNREACHABLE.find(([pattern]) => pattern.test(text));
  if (known !== undefined) return `: ${known[1]}`;
  // The library's own words tell a person nothing; those of a proxy may.
  const foreign = startOf(text, FOREIGN_TEXT_BYTES_MAX).replace(/[\s.]+$/, '');
  return foreign === '' || NEVER_SENT.test(foreign) ? '' : `: ${foreign}`;
}
