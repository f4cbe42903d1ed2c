import { setMaxListeners } from 'node:events';
import { Client, connectivityState, Metadata, status } from '@grpc/grpc-js';
import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import { RuneError } from '../errors.js';
import { MESSAGE_BYTES_MAX } from './rpc-definition.js';
import type { RequestOf, ResponseOf, RpcMethod, RpcService } from './rpc-definition.js';
import { formatAddress, parseAddress } from './rpc-address.js';
import { createConnections } from './rpc-connections.js';
import type { Connections } from './rpc-connections.js';
import { errorOfStatus } from './rpc-status.js';
import { clientCredentials } from './rpc-tls.js';
import type { ClientTls } from './rpc-tls.js';

/** Timers and bounds of a client. */
export interface RpcClientSettings {
  /** Deadline of a unary call that is given none. Streams have none unless it is given. */
  readonly unaryTimeoutMs: number;
  /** A connection with calls is asked for a sign of life after this long, and given up when none comes in time. */
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
  /** Pauses between attempts to connect: the first, and the longest. */
  readonly reconnectMs: number;
  readonly reconnectMsMax: number;
  /** What one stream may have under way to a reader that is busy. With HTTP/2's own 64 KiB both sides wait for each other in turns. */
  readonly windowBytes: number;
}

/** The settings that a client has unless it is given others. */
export const DEFAULT_RPC_CLIENT_SETTINGS: RpcClientSettings = {
  unaryTimeoutMs: 30_000,
  keepaliveMs: 30_000,
  keepaliveTimeoutMs: 10_000,
  reconnectMs: 100,
  reconnectMsMax: 5_000,
  windowBytes: 256 * 1024,
};

/** Options of one call. */
export interface CallOptions {
  /** Cancels the call when it aborts. */
  readonly signal?: AbortSignal;
  /** Ends the call with CALL_DEADLINE_EXCEEDED after this long. */
  readonly timeoutMs?: number;
  /** Hears that the service has taken the stream, at the latest with its first message. */
  readonly onAccept?: () => void;
}

/** The function that calls one method. */
export type CallOf<M extends RpcMethod> = M['requestStream'] extends true
  ? never
  : M['responseStream'] extends true
    ? (request: RequestOf<M>, options?: CallOptions) => AsyncGenerator<ResponseOf<M>, void, undefined>
    : (request: RequestOf<M>, options?: CallOptions) => Promise<ResponseOf<M>>;

/**
 * One function for each method of a service. Every error is a RuneError: the one in the EPS detail, or
 * SERVICE_UNREACHABLE, CALL_DEADLINE_EXCEEDED, CALL_CANCELLED, MESSAGE_TOO_LARGE, METHOD_NOT_FOUND, INVALID_REQUEST or
 * INTERNAL. A stream is called at once and read in small steps; leaving its `for await` cancels the call. When a stream ends
 * with an error, messages that a slow reader had not reached yet are lost with it: the library drops them.
 */
export type RpcClient<S extends RpcService> = { readonly [Name in keyof S]: CallOf<S[Name]> } & ClientLife;

/** What a client can do besides calling. */
export interface ClientLife {
  /**
   * Resolves once the connection is up; rejects with SERVICE_UNREACHABLE after `timeoutMs`. A call that is made after this
   * and fails may have reached the service; one that was never made because of this has not.
   */
  waitForReady(timeoutMs: number): Promise<void>;
  /** Cancels the calls in progress and closes the connection. */
  close(): void;
}

/** Makes a client. It connects with the first call. Throws CONFIGURATION_INVALID for a bad address or unusable TLS files. */
export function createRpcClient<S extends RpcService>(
  service: S,
  target: { address: string; tls?: ClientTls; settings?: Partial<RpcClientSettings> },
): RpcClient<S> {
  const settings = { ...DEFAULT_RPC_CLIENT_SETTINGS, ...target.settings };
  const address = formatAddress(parseAddress(target.address));
  const credentials = clientCredentials(target.tls);
  const options = clientOptions(settings, target.tls);
  const link: Link = {
    connections: createConnections(() => new Client(address, credentials, options)),
    address,
    unaryTimeoutMs: settings.unaryTimeoutMs,
    closed: false,
  };
  const calls = Object.fromEntries(
    Object.entries(service).map(([name, method]) => [
      name,
      method.responseStream
        ? (request: unknown, call?: CallOptions) => callStream(link, method, request, call ?? {})
        : (request: unknown, call?: CallOptions) => callUnary(link, method, request, call ?? {}),
    ]),
  );
  const life: ClientLife = {
    waitForReady: (timeoutMs) => waitForReady(link, timeoutMs),
    close() {
      link.closed = true;
      link.connections.close();
    },
  };
  // The methods are made from the definition itself, which the types describe.
  return { ...calls, ...life } as RpcClient<S>;
}

function waitForReady(link: Link, timeoutMs: number): Promise<void> {
  const lease = link.connections.begin(() => undefined);
  // The library would answer one turn of the event loop later.
  if (lease.client.getChannel().getConnectivityState(false) === connectivityState.READY) {
    lease.end(false);
    return Promise.resolve();
  }
  return new Promise<void>((resolve, reject) => {
    lease.client.waitForReady(Date.now() + timeoutMs, (cause) => {
      if (cause === undefined) return resolve();
      return reject(
        new RuneError('SERVICE_UNREACHABLE', `Nothing answers at ${link.address}.`, {}, { cause }),
      );
    });
  }).finally(() => lease.end(false));
}

interface Link {
  readonly connections: Connections;
  readonly address: string;
  readonly unaryTimeoutMs: number;
  closed: boolean;
}

/** Longer deadlines wrap around in the library's 32-bit arithmetic. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

function clientOptions(
  settings: RpcClientSettings,
  tls: ClientTls | undefined,
): Record<string, string | number> {
  return {
    'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
    'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
    'grpc-node.flow_control_window': settings.windowBytes,
    'grpc.keepalive_time_ms': settings.keepaliveMs,
    'grpc.keepalive_timeout_ms': settings.keepaliveTimeoutMs,
    'grpc.initial_reconnect_backoff_ms': settings.reconnectMs,
    'grpc.max_reconnect_backoff_ms': settings.reconnectMsMax,
    // Connections are counted per client; see rpc-connections.ts.
    'grpc.use_local_subchannel_pool': 1,
    // A policy found in DNS could repeat calls, and a run must not be started twice.
    'grpc.service_config_disable_resolution': 1,
    ...(tls?.serverName === undefined ? {} : { 'grpc.ssl_target_name_override': tls.serverName }),
  };
}

/** How long a stream that was left may take to end by itself, as one does whose last message was just read. */
const LINGER_MS = 10;

const same = (bytes: Buffer): Buffer => bytes;

async function callUnary(
  link: Link,
  method: RpcMethod,
  request: unknown,
  options: CallOptions,
): Promise<unknown> {
  const { signal } = options;
  refuseOver(link, signal);
  const bytes = encode(method, request);
  const deadline = deadlineAfter(options.timeoutMs ?? link.unaryTimeoutMs);
  const answer = await new Promise<Buffer>((resolve, reject) => {
    const lease = link.connections.begin(() => call.cancel());
    const onEnd = (error: ServiceError | null, received?: Buffer): void => {
      forget();
      lease.end(error?.code === status.DEADLINE_EXCEEDED);
      if (error === null) resolve(received ?? Buffer.alloc(0));
      else reject(failure(link, signal, error));
    };
    const call = lease.client.makeUnaryRequest(
      method.path,
      same,
      same,
      bytes,
      new Metadata(),
      { deadline },
      onEnd,
    );
    const forget = onAbort(signal, () => {
      lease.cancel();
      reject(failure(link, signal, undefined));
    });
  });
  return decode(link, method, answer);
}

function callStream(
  link: Link,
  method: RpcMethod,
  request: unknown,
  options: CallOptions,
): AsyncGenerator<unknown, void, undefined> {
  const { signal } = options;
  refuseOver(link, signal);
  const bytes = encode(method, request);
  const deadline = options.timeoutMs === undefined ? Infinity : deadlineAfter(options.timeoutMs);
  const lease = link.connections.begin(() => call.cancel());
  const call = lease.client.makeServerStreamRequest(method.path, same, same, bytes, new Metadata(), {
    deadline,
  });
  if (options.onAccept !== undefined) call.once('metadata', options.onAccept);
  const messages = readMessages(call);
  const forget = onAbort(signal, () => {
    lease.cancel();
    messages.fail(() => failure(link, signal, undefined));
  });
  let lingering: NodeJS.Timeout | undefined;
  call.once('status', ({ code }) => {
    clearTimeout(lingering);
    forget();
    lease.end(code === status.DEADLINE_EXCEEDED);
  });
  const leave = (): void => {
    messages.fail(() => new RuneError('CALL_CANCELLED', `The call to ${link.address} was left.`));
    // What has arrived by then is looked at first: where much goes on, it holds the end of most streams.
    lingering ??= setTimeout(() => setImmediate(() => lease.cancel()), LINGER_MS);
  };

  const steps = (async function* (): AsyncGenerator<unknown, void, undefined> {
    let ended = false;
    try {
      for (;;) {
        let message: Buffer | undefined;
        try {
          message = await messages.next();
        } catch (thrown) {
          ended = true;
          throw failure(link, signal, thrown);
        }
        if (message === undefined) {
          ended = true;
          return;
        }
        yield decode(link, method, message);
      }
    } finally {
      if (!ended) leave();
    }
  })();
  // A generator that is left before its first step, or while it waits, would not reach its finally.
  const leaveSteps = steps.return.bind(steps);
  steps.return = (value) => {
    leave();
    return leaveSteps(value);
  };
  return steps;
}

/** The messages of a call, one by one. */
interface MessageReader {
  /** The next message; undefined after the last. Rejects when the call has failed, behind the messages before that. */
  next(): Promise<Buffer | undefined>;
  /** Ends the reading at once with this error, which is made if anybody reads on; what is buffered is thrown away. */
  fail(why: () => RuneError): void;
}

/** Reads a call. Reading starts now: a call that nobody reads would be buffered without a bound. */
function readMessages(call: ClientReadableStream<Buffer>): MessageReader {
  let ended = false;
  let failed: unknown;
  let abandoned: (() => RuneError) | undefined;
  let wake: (() => void) | undefined;
  const kick = (): void => {
    const resume = wake;
    wake = undefined;
    resume?.();
  };
  call.on('readable', kick);
  call.on('error', (error) => {
    failed = error;
    kick();
  });
  call.on('end', () => {
    ended = true;
    kick();
  });
  return {
    async next() {
      for (;;) {
        if (abandoned !== undefined) throw abandoned();
        const message: Buffer | null = call.read();
        if (message !== null) return message;
        if (failed !== undefined) throw failed;
        if (ended) return undefined;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
    fail(why) {
      abandoned ??= why;
      kick();
    },
  };
}

/** Calls `act` when the signal aborts, until the returned function is called. */
function onAbort(signal: AbortSignal | undefined, act: () => void): () => void {
  if (signal === undefined) return () => undefined;
  // One signal may end any number of calls; each takes its listener away when it is over.
  setMaxListeners(0, signal);
  signal.addEventListener('abort', act, { once: true });
  return () => signal.removeEventListener('abort', act);
}

function deadlineAfter(timeoutMs: number): number {
  return Date.now() + Math.min(timeoutMs, TIMEOUT_MS_MAX);
}

function refuseOver(link: Link, signal: AbortSignal | undefined): void {
  if (link.closed) throw new RuneError('CALL_CANCELLED', `The client of ${link.address} is closed.`);
  if (signal?.aborted === true) throw cancelled(link, signal);
}

/** The error of a call that has ended. */
function failure(link: Link, signal: AbortSignal | undefined, thrown: unknown): RuneError {
  if (signal?.aborted === true) return cancelled(link, signal);
  if (isServiceError(thrown)) return errorOfStatus(thrown, link.address);
  return RuneError.from(thrown);
}

function isServiceError(thrown: unknown): thrown is ServiceError {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'number';
}

function cancelled(link: Link, signal: AbortSignal): RuneError {
  const reason: unknown = signal.reason;
  if (reason instanceof RuneError) return reason;
  return new RuneError('CALL_CANCELLED', `The call to ${link.address} was cancelled.`, {}, { cause: reason });
}

function encode(method: RpcMethod, request: unknown): Buffer {
  let bytes: Buffer;
  try {
    bytes = method.requestSerialize(request as never);
  } catch (cause) {
    throw new RuneError('INVALID_REQUEST', 'The request cannot be written as a message.', {}, { cause });
  }
  if (bytes.length <= MESSAGE_BYTES_MAX) return bytes;
  const message = `The request has ${bytes.length} bytes; ${MESSAGE_BYTES_MAX} are allowed.`;
  throw new RuneError('MESSAGE_TOO_LARGE', message);
}

function decode(link: Link, method: RpcMethod, bytes: Buffer): unknown {
  try {
    return method.responseDeserialize(bytes);
  } catch (cause) {
    const message = `The answer of the service at ${link.address} is not a valid message of this method.`;
    throw new RuneError('INTERNAL', message, {}, { cause });
  }
}
