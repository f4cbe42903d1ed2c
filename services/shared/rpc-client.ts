import { Client, Metadata } from '@grpc/grpc-js';
import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import { RuneError } from './errors.js';
import { MESSAGE_BYTES_MAX } from './rpc-definition.js';
import type { RequestOf, ResponseOf, RpcMethod, RpcService } from './rpc-definition.js';
import { formatAddress, parseAddress } from './rpc-address.js';
import { errorOfStatus } from './rpc-status.js';
import { clientCredentials } from './rpc-tls.js';
import type { ClientTls } from './rpc-tls.js';

/** Timers of a client. */
export interface RpcClientSettings {
  /** Deadline of a unary call that is given none. Streams have none unless it is given. */
  readonly unaryTimeoutMs: number;
  /** A connection with calls is asked for a sign of life after this long, and given up when none comes in time. */
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
  /** Pauses between attempts to connect: the first, and the longest. */
  readonly reconnectMs: number;
  readonly reconnectMsMax: number;
}

/** The settings that a client has unless it is given others. */
export const DEFAULT_RPC_CLIENT_SETTINGS: RpcClientSettings = {
  unaryTimeoutMs: 30_000,
  keepaliveMs: 30_000,
  keepaliveTimeoutMs: 10_000,
  reconnectMs: 100,
  reconnectMsMax: 5_000,
};

/** Options of one call. */
export interface CallOptions {
  /** Cancels the call when it aborts. */
  readonly signal?: AbortSignal;
  /** Ends the call with CALL_DEADLINE_EXCEEDED after this long. */
  readonly timeoutMs?: number;
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
export type RpcClient<S extends RpcService> = { readonly [Name in keyof S]: CallOf<S[Name]> } & {
  /**
   * Resolves once the connection is up; rejects with SERVICE_UNREACHABLE after `timeoutMs`. A call that is made after this
   * and fails may have reached the service; one that was never made because of this has not.
   */
  waitForReady(timeoutMs: number): Promise<void>;
  /** Cancels the calls in progress and closes the connection. */
  close(): void;
};

/** Makes a client. It connects with the first call. Throws CONFIGURATION_INVALID for a bad address or unusable TLS files. */
export function createRpcClient<S extends RpcService>(
  service: S,
  target: { address: string; tls?: ClientTls; settings?: Partial<RpcClientSettings> },
): RpcClient<S> {
  const settings = { ...DEFAULT_RPC_CLIENT_SETTINGS, ...target.settings };
  const address = formatAddress(parseAddress(target.address));
  const link: Link = {
    client: new Client(address, clientCredentials(target.tls), clientOptions(settings, target.tls)),
    address,
    unaryTimeoutMs: settings.unaryTimeoutMs,
    open: new Set(),
    closed: false,
  };
  const calls = Object.fromEntries(
    Object.entries(service).map(([name, method]) => [
      name,
      method.responseStream
        ? (request: unknown, options?: CallOptions) => callStream(link, method, request, options ?? {})
        : (request: unknown, options?: CallOptions) => callUnary(link, method, request, options ?? {}),
    ]),
  );
  const close = (): void => {
    link.closed = true;
    for (const cancel of [...link.open]) cancel();
    link.client.close();
  };
  const waitForReady = (timeoutMs: number): Promise<void> =>
    new Promise((resolve, reject) => {
      link.client.waitForReady(Date.now() + timeoutMs, (cause) => {
        if (cause === undefined) return resolve();
        const message = `Nothing answers at ${address}.`;
        return reject(new RuneError('SERVICE_UNREACHABLE', message, {}, { cause }));
      });
    });
  // The methods are made from the definition itself, which the types describe.
  return { ...calls, waitForReady, close } as RpcClient<S>;
}

interface Link {
  readonly client: Client;
  readonly address: string;
  readonly unaryTimeoutMs: number;
  /** Cancels of the calls in progress. */
  readonly open: Set<() => void>;
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
    'grpc.keepalive_time_ms': settings.keepaliveMs,
    'grpc.keepalive_timeout_ms': settings.keepaliveTimeoutMs,
    'grpc.initial_reconnect_backoff_ms': settings.reconnectMs,
    'grpc.max_reconnect_backoff_ms': settings.reconnectMsMax,
    // A policy found in DNS could repeat calls, and a run must not be started twice.
    'grpc.service_config_disable_resolution': 1,
    ...(tls?.serverName === undefined ? {} : { 'grpc.ssl_target_name_override': tls.serverName }),
  };
}

const same = (bytes: Buffer): Buffer => bytes;

function callUnary(link: Link, method: RpcMethod, request: unknown, options: CallOptions): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const { signal } = options;
    refuseOver(link, signal);
    const bytes = encode(method, request);
    const deadline = Date.now() + Math.min(options.timeoutMs ?? link.unaryTimeoutMs, TIMEOUT_MS_MAX);
    const call = link.client.makeUnaryRequest(
      method.path,
      same,
      same,
      bytes,
      new Metadata(),
      { deadline },
      (error, answer) => {
        leave();
        if (error !== null) return reject(failure(link, signal, error));
        try {
          resolve(decode(link, method, answer ?? Buffer.alloc(0)));
        } catch (thrown) {
          reject(thrown);
        }
      },
    );
    const leave = enter(link, signal, () => call.cancel());
  });
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
  const deadline =
    options.timeoutMs === undefined ? Infinity : Date.now() + Math.min(options.timeoutMs, TIMEOUT_MS_MAX);
  const call = link.client.makeServerStreamRequest(method.path, same, same, bytes, new Metadata(), {
    deadline,
  });
  const cancel = (): void => call.cancel();
  const leave = enter(link, signal, cancel);
  call.once('error', leave);
  call.once('end', leave);
  const nextMessage = readMessages(call);

  const steps = (async function* (): AsyncGenerator<unknown, void, undefined> {
    try {
      for (;;) {
        let message: Buffer | undefined;
        try {
          message = await nextMessage();
        } catch (thrown) {
          throw failure(link, signal, thrown);
        }
        if (message === undefined) return;
        yield decode(link, method, message);
      }
    } finally {
      cancel();
    }
  })();
  // A generator that is left before its first step, or while it waits, would not reach its finally.
  const leaveSteps = steps.return.bind(steps);
  steps.return = (value) => {
    cancel();
    return leaveSteps(value);
  };
  return steps;
}

/**
 * Reads a call's messages one by one; undefined after the last. Reading starts now: a call that nobody reads would be
 * buffered without a bound.
 */
function readMessages(call: ClientReadableStream<Buffer>): () => Promise<Buffer | undefined> {
  let ended = false;
  let failed: unknown;
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
  return async () => {
    for (;;) {
      const message: Buffer | null = call.read();
      if (message !== null) return message;
      if (failed !== undefined) throw failed;
      if (ended) return undefined;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
}

/** Takes part in the client's calls until the returned function is called; the signal's abort cancels the call. */
function enter(link: Link, signal: AbortSignal | undefined, cancel: () => void): () => void {
  link.open.add(cancel);
  signal?.addEventListener('abort', cancel, { once: true });
  return () => {
    link.open.delete(cancel);
    signal?.removeEventListener('abort', cancel);
  };
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
