import { Metadata } from '@grpc/grpc-js';
import type { ServerUnaryCall, ServerWritableStream, sendUnaryData } from '@grpc/grpc-js';
import { toEps } from '../messages/eps.js';
import { RuneError } from '../errors.js';
import type { EpsError, ErrorFacts } from '../gen/rune/v1/eps.js';
import type { RcsHeader } from '../gen/rune/v1/rcs.js';
import { acceptHeader } from '../messages/header.js';
import type { Logger } from '../logging/logger.js';
import { EncodedMessage } from './encoded-message.js';
import { MESSAGE_BYTES_MAX } from './rpc-definition.js';
import type { RpcMethod } from './rpc-definition.js';
import { identityOf } from './rpc-identity.js';
import type { Identity } from './rpc-identity.js';
import { statusOf } from './rpc-status.js';
import type { CallStatus } from './rpc-status.js';

/** What a handler knows about its call besides the request. */
export interface CallContext {
  /**
   * Aborts when the call is over before the handler is: the consumer is gone (CALL_CANCELLED), its deadline has passed
   * (CALL_DEADLINE_EXCEEDED) or the service stops (SERVICE_SHUTTING_DOWN); the reason is that RuneError. It ends the call,
   * not the handler's work: what must stop with the call has to watch it. See abortable.ts for waits without an end.
   */
  readonly signal: AbortSignal;
  readonly identity: Identity;
  /** Absolute Unix time in ms; Infinity for a stream without a deadline. */
  readonly deadlineMs: number;
  /** The request's header, complete. */
  readonly header: RcsHeader;
  /** Tells the caller of a stream that it is taken, for one whose first message may be long in coming. */
  accept(): void;
}

/** A unary handler. What it throws ends the call with a status; anything but a RuneError as INTERNAL. */
export type UnaryHandler = (request: never, call: CallContext) => Promise<unknown>;
/** A streaming handler, normally an `async function*`. Its `finally` runs when the consumer is gone. */
export type StreamHandler = (request: never, call: CallContext) => AsyncIterable<unknown>;

/** Limits of the calls that a server takes. */
export interface CallLimits {
  /** Deadline of a unary call whose caller gives none. */
  readonly unaryTimeoutMs: number;
  /** Deadline of a unary call at most, whatever its caller asks. */
  readonly unaryTimeoutMsMax: number;
  /** Bytes of one stream that may wait for its reader before the handler is held back. */
  readonly streamBufferBytesMax: number;
}

/** What all calls of one server share. */
export interface CallHost {
  readonly limits: CallLimits;
  readonly logger: Logger;
  /** Module name in headers and errors. */
  readonly source: string;
  /** Facts that every error carries. */
  readonly facts: Partial<ErrorFacts>;
  readonly tls: boolean;
  /** Calls in progress. */
  readonly open: Set<OpenCall>;
  /** The service stops: new calls are refused. */
  readonly stopping: () => boolean;
  /** Hears of the end of each call: the path of its method, the name of its status such as "OK", and how long it took. */
  readonly onCallEnd?: (method: string, code: string, seconds: number) => void;
}

/** A call in progress, as the server sees it. */
export interface OpenCall {
  /** Aborts the handler's signal and ends the call with this error. */
  end(error: RuneError): void;
}

/** The caller's own timer ends the call a little before this side's clock says so. */
const DEADLINE_SLACK_MS = 20;

/** Messages of one stream that may wait for its reader. */
const WAITING_MESSAGES_MAX = 64;
/** A handler that was held back goes on when less than this share of either bound waits. */
const RESUME_SHARE = 0.5;

type RawUnaryCall = ServerUnaryCall<Buffer, Buffer>;
type RawStreamCall = ServerWritableStream<Buffer, Buffer>;

/** Serves one unary call. Never throws and never rejects. */
export function serveUnary(
  method: RpcMethod,
  handler: UnaryHandler,
  host: CallHost,
  call: RawUnaryCall,
  reply: sendUnaryData<Buffer>,
): void {
  const life = openCall(method, host, call, (status) => reply(status));
  life.run(async (request, context) => {
    const response = encode(method, await handler(request as never, context));
    life.complete(() => reply(null, response));
  });
}

/** Serves one streaming call. Never throws and never rejects. */
export function serveStream(
  method: RpcMethod,
  handler: StreamHandler,
  host: CallHost,
  call: RawStreamCall,
): void {
  // The status goes out behind the messages that were written before it.
  const life = openCall(method, host, call, (status) => {
    call.emit('error', Object.assign(new Error(status.details), status));
  });
  life.run(async (request, context) => {
    const send = createSender(call, context.signal, host.limits.streamBufferBytesMax);
    const iterator = handler(request as never, context)[Symbol.asyncIterator]();
    const leave = createLeave(iterator, (thrown) => life.report(thrown));
    context.signal.addEventListener('abort', leave, { once: true });
    for (;;) {
      const step = await iterator.next();
      if (step.done === true) break;
      let wanted = false;
      try {
        wanted = await send(encode(method, step.value));
      } finally {
        if (!wanted) leave();
      }
      if (!wanted) return;
    }
    life.complete(() => call.end());
  });
}

/**
 * Asks an iterator to end, once. A generator that waits for something takes the request when that has settled, so nobody
 * waits for it here.
 */
function createLeave(iterator: AsyncIterator<unknown>, report: (thrown: unknown) => void): () => void {
  let left = false;
  return () => {
    if (left) return;
    left = true;
    try {
      iterator.return?.()?.then(undefined, report);
    } catch (thrown) {
      report(thrown);
    }
  };
}

/**
 * Writes messages with at most `bytesMax` and a few dozen of them waiting. Resolves to false when the call is over. Without
 * the bound on their number, a handler that is always ready would keep the event loop for itself.
 */
function createSender(
  call: RawStreamCall,
  signal: AbortSignal,
  bytesMax: number,
): (message: Buffer) => boolean | Promise<boolean> {
  let waitingBytes = 0;
  let waitingMessages = 0;
  let wake: (() => void) | undefined;
  const kick = (): void => {
    const resume = wake;
    wake = undefined;
    resume?.();
  };
  // After a cancel the library never calls back for what was written, so the signal has to wake the writer.
  signal.addEventListener('abort', kick, { once: true });
  const over = (): boolean => signal.aborted || call.cancelled || call.destroyed;
  const full = (share: number): boolean =>
    waitingBytes >= bytesMax * share || waitingMessages >= WAITING_MESSAGES_MAX * share;
  return (message) => {
    if (over()) return false;
    const { length } = message;
    waitingBytes += length;
    waitingMessages += 1;
    call.write(message, () => {
      waitingBytes -= length;
      waitingMessages -= 1;
      if (wake !== undefined && !full(RESUME_SHARE)) kick();
    });
    if (!full(1)) return true;
    return new Promise<void>((resolve) => (wake = resolve)).then(() => !over());
  };
}

interface CallLife {
  /** Runs the handler's work and turns whatever it throws into the call's status. */
  run(work: (request: unknown, context: CallContext) => Promise<void>): void;
  /** Ends the call well, unless it is over. */
  complete(send: () => void): void;
  /** Takes note of an error for which no caller waits any more. */
  report(thrown: unknown): void;
}

function openCall(
  method: RpcMethod,
  host: CallHost,
  call: RawUnaryCall | RawStreamCall,
  sendStatus: (status: CallStatus) => void,
): CallLife {
  const controller = new AbortController();
  const startedMs = performance.now();
  let header: RcsHeader | undefined;
  let identity: Identity | undefined;
  let over = false;
  let timer: NodeJS.Timeout | undefined;

  const close = (code: string): boolean => {
    if (over) return false;
    over = true;
    host.onCallEnd?.(method.path, code, (performance.now() - startedMs) / 1000);
    clearTimeout(timer);
    host.open.delete(open);
    return true;
  };
  /** Messages of refusals may repeat what was sent, so that only their names are logged. */
  const logEnd = (error: RuneError, fingerprint: string): void => {
    const fields = {
      method: method.path,
      identity: identity?.name,
      error: error.name,
      error_fingerprint: fingerprint,
      trace_id: header?.observability?.traceId,
    };
    if (error.name === 'INTERNAL')
      host.logger.error('a call met an unexpected fault', { ...fields, err: error });
    else host.logger.info('a call ended with an error', { ...fields, field: error.facts.field });
  };
  const fail = (error: RuneError): void => {
    if (!close(error.row.grpc)) return;
    const { status, fingerprint } = describe(error, host, header);
    logEnd(error, fingerprint);
    sendStatus(status);
  };
  const open: OpenCall = {
    end(error) {
      if (over) return;
      fail(error);
      controller.abort(error);
    },
  };
  const report = (thrown: unknown): void => {
    if (thrown === controller.signal.reason || isAbortError(thrown)) return;
    const error = RuneError.from(thrown);
    if (error.name === 'INTERNAL') logEnd(error, describe(error, host, header).fingerprint);
  };

  // The event comes at the end of every call, also after a good one.
  call.once('cancelled', () => {
    const passed = deadlineOf(call) <= Date.now() + DEADLINE_SLACK_MS;
    if (!close(passed ? 'DEADLINE_EXCEEDED' : 'CANCELLED')) return;
    controller.abort(
      passed
        ? new RuneError('CALL_DEADLINE_EXCEEDED', 'The deadline of the call has passed.')
        : new RuneError('CALL_CANCELLED', 'The caller ended the call.'),
    );
  });

  const begin = (): { request: unknown; context: CallContext } => {
    if (host.stopping()) throw new RuneError('SERVICE_SHUTTING_DOWN', 'This service is shutting down.');
    identity = identityOf(call, host.tls);
    const request = decode(method, call.request);
    const nowMs = Date.now();
    header = readHeader(request);
    header = acceptHeader(header, { identity: identity.name, nowMs });
    const deadlineMs = limitDeadline(method, host.limits, deadlineOf(call), nowMs);
    if (deadlineMs < deadlineOf(call)) {
      const exceeded = new RuneError(
        'CALL_DEADLINE_EXCEEDED',
        'The call took longer than this service allows.',
      );
      timer = setTimeout(() => open.end(exceeded), deadlineMs - nowMs);
      timer.unref();
    }
    const accept = (): void => {
      if (!over) call.sendMetadata(new Metadata());
    };
    return { request, context: { signal: controller.signal, identity, deadlineMs, header, accept } };
  };

  return {
    run(work) {
      host.open.add(open);
      let ready: { request: unknown; context: CallContext };
      try {
        ready = begin();
      } catch (thrown) {
        fail(RuneError.from(thrown));
        return;
      }
      work(ready.request, ready.context).catch((thrown: unknown) => {
        if (over) report(thrown);
        else fail(RuneError.from(thrown));
      });
    },
    complete(send) {
      if (close('OK')) send();
    },
    report,
  };
}

/** An error as its caller gets it, and the fingerprint by which it can be found in the log. */
interface DescribedError {
  readonly status: CallStatus;
  readonly fingerprint: string;
}

/** An error that cannot be described must not leave its caller without an end. */
function describe(
  error: RuneError,
  { source, facts }: Pick<CallHost, 'source' | 'facts'>,
  header: RcsHeader | undefined,
): DescribedError {
  const described = (eps: EpsError): DescribedError => ({
    status: statusOf(eps),
    fingerprint: eps.observability?.errorFingerprint ?? '',
  });
  try {
    return described(toEps(error, header === undefined ? { source, facts } : { source, facts, header }));
  } catch {
    return described(
      toEps(new RuneError('INTERNAL', 'The error of this call could not be described.'), { source, facts }),
    );
  }
}

function isAbortError(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === 'AbortError';
}

/** Absolute Unix time in ms of the caller's deadline, Infinity if it gave none. */
function deadlineOf(call: { getDeadline(): Date | number }): number {
  return Number(call.getDeadline());
}

function limitDeadline(method: RpcMethod, limits: CallLimits, askedMs: number, nowMs: number): number {
  if (method.responseStream) return askedMs;
  if (askedMs === Infinity) return nowMs + limits.unaryTimeoutMs;
  return Math.min(askedMs, nowMs + limits.unaryTimeoutMsMax);
}

function decode(method: RpcMethod, bytes: Buffer): unknown {
  try {
    return method.requestDeserialize(bytes);
  } catch (cause) {
    const message = 'The request is not a valid message of this method, or is nested too deeply.';
    throw new RuneError('INVALID_REQUEST', message, {}, { cause });
  }
}

function encode(method: RpcMethod, message: unknown): Buffer {
  let bytes: Buffer;
  try {
    bytes = message instanceof EncodedMessage ? message.bytes : method.responseSerialize(message as never);
  } catch (cause) {
    throw new RuneError('INTERNAL', 'The answer could not be written as a message.', {}, { cause });
  }
  if (bytes.length <= MESSAGE_BYTES_MAX) return bytes;
  throw new RuneError(
    'MESSAGE_TOO_LARGE',
    `The answer has ${bytes.length} bytes; ${MESSAGE_BYTES_MAX} are allowed.`,
  );
}

/** The header that every request of this project carries in its first field. */
function readHeader(request: unknown): RcsHeader | undefined {
  if (request === null || typeof request !== 'object' || !('header' in request)) return undefined;
  return request.header as RcsHeader | undefined;
}
