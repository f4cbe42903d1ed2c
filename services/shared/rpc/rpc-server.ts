import { Server, setLogger } from '@grpc/grpc-js';
import type { ServerCredentials, ServiceDefinition, UntypedHandleCall } from '@grpc/grpc-js';
import { RuneError } from '../errors.js';
import type { ErrorFacts } from '../gen/rune/v1/eps.js';
import { bindError, refusePlaintext } from '../settings/listen-faults.js';
import type { Logger } from '../logging/logger.js';
import { formatAddress, parseAddress } from './rpc-address.js';
import type { RpcAddress } from './rpc-address.js';
import type { ServiceBinding } from './rpc-binding.js';
import { serveStream, serveUnary } from './rpc-call.js';
import type { CallHost, CallLimits, OpenCall, StreamHandler, UnaryHandler } from './rpc-call.js';
import { MESSAGE_BYTES_MAX, serviceNameOf } from './rpc-definition.js';
import type { RpcMethod } from './rpc-definition.js';
import { createHealth } from './rpc-health.js';
import { addReflection } from './rpc-reflection.js';
import { serverCredentials } from './rpc-tls.js';
import type { ServerTls } from './rpc-tls.js';

/** Limits and timers of a server. */
export interface RpcServerSettings extends CallLimits {
  /** A connection is asked for a sign of life after this long without one, and closed when none comes in time. */
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
  /** After the grace of `stop`, how long the ends of calls have to reach their callers. */
  readonly flushTimeoutMs: number;
}

/** The settings that a service uses unless it has reasons. */
export const DEFAULT_RPC_SERVER_SETTINGS: RpcServerSettings = {
  unaryTimeoutMs: 60_000,
  unaryTimeoutMsMax: 600_000,
  streamBufferBytesMax: 256 * 1024,
  keepaliveMs: 30_000,
  keepaliveTimeoutMs: 10_000,
  flushTimeoutMs: 1_000,
};

/** What a server is made of. */
export interface RpcServerOptions {
  /** `host:port` (port 0 for any free one), `[v6]:port` or `unix:/path`. */
  readonly listen: string;
  readonly tls?: ServerTls;
  /** Listen without TLS on an address that others can reach. */
  readonly allowPlaintext?: boolean;
  /** Where only health is served, without TLS, for probes that have no certificate. */
  readonly probeListen?: string;
  readonly bindings: readonly ServiceBinding[];
  readonly settings?: Partial<RpcServerSettings>;
  readonly logger: Logger;
  /** Module name in headers and errors, such as "rune-lom". */
  readonly source: string;
  /** Facts that every error of this server carries. */
  readonly facts?: Partial<ErrorFacts>;
  /** Hears of the end of each call. */
  readonly onCallEnd?: CallHost['onCallEnd'];
}

/** A listening server. */
export interface RpcServer {
  /** `host:port` as it can be dialled, or `unix:/path`. */
  readonly address: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  /** Where probes are answered besides; undefined without `probeListen`. */
  readonly probeAddress: string | undefined;
  /** Calls that have not ended, those of probes aside. */
  readonly openCalls: number;
  /** Health says NOT_SERVING from now on. Calls are still taken. */
  announceStop(): void;
  /**
   * Ends gracefully: health says NOT_SERVING, new calls are refused, open calls have `graceMs` to end by themselves, then
   * their signals abort and they end with SERVICE_SHUTTING_DOWN. Resolves when everything is closed. A second call with a
   * shorter grace shortens it.
   */
  stop(graceMs: number): Promise<void>;
}

/**
 * Starts a gRPC server with these services, health checking and reflection. Throws CONFIGURATION_INVALID when it must not or
 * cannot listen at the address, or when its TLS files are unusable.
 */
export async function startRpcServer(options: RpcServerOptions): Promise<RpcServer> {
  const settings = { ...DEFAULT_RPC_SERVER_SETTINGS, ...options.settings };
  const listen = parseAddress(options.listen);
  refusePlaintext(listen, options.tls !== undefined || options.allowPlaintext === true, {
    field: 'listen',
    what: 'Without TLS this service listens',
    remedy:
      'configure a certificate, listen on 127.0.0.1, or set allow_plaintext if something else protects the connection',
  });
  const credentials = serverCredentials(options.tls);

  const serviceNames = options.bindings.map(({ service }) => serviceNameOf(service));
  const health = createHealth(serviceNames);
  const open = new Set<OpenCall>();
  let stopping = false;
  const host: CallHost = {
    limits: settings,
    logger: options.logger,
    source: options.source,
    facts: options.facts ?? {},
    tls: options.tls !== undefined,
    open,
    stopping: () => stopping,
    ...(options.onCallEnd === undefined ? {} : { onCallEnd: options.onCallEnd }),
  };
  // Otherwise the library writes to standard error by itself.
  setLogger({
    error: (said: unknown) => options.logger.debug('the gRPC library reports', { said: String(said) }),
  });
  const server = createServer(settings);
  // Probes are answered to the end: that is how a balancer learns of the stop.
  addService(server, health.binding, { ...host, stopping: () => false });
  for (const binding of options.bindings) addService(server, binding, host);
  addReflection(server, [...serviceNames, serviceNameOf(health.binding.service)]);

  const port = await bind(server, listen, credentials, 'listen');
  const stop = createStop(server, open, settings.flushTimeoutMs);
  const probes = await startProbes(options.probeListen, health.binding, host, settings).catch(
    (refused: unknown) => {
      server.forceShutdown();
      throw refused;
    },
  );
  return {
    address: formatAddress({ ...listen, port: listen.unix ? 0 : port }),
    port: listen.unix ? 0 : port,
    probeAddress: probes?.address,
    get openCalls() {
      return open.size;
    },
    announceStop: health.stop,
    async stop(graceMs) {
      stopping = true;
      health.stop();
      await stop(graceMs);
      probes?.close();
    },
  };
}

/** Health by itself: it tells nobody anything else, so that it needs neither TLS nor a caller who is known. */
async function startProbes(
  probeListen: string | undefined,
  health: ServiceBinding,
  host: CallHost,
  settings: RpcServerSettings,
): Promise<{ address: string; close(): void } | undefined> {
  if (probeListen === undefined) return undefined;
  const listen = parseAddress(probeListen);
  const server = createServer(settings);
  // Their calls are not waited for at the end: a probe may be asked again, a run may not.
  addService(server, health, { ...host, tls: false, open: new Set(), stopping: () => false });
  const port = await bind(server, listen, serverCredentials(undefined), 'probe_listen');
  const address = formatAddress({ ...listen, port: listen.unix ? 0 : port });
  host.logger.info('probes are answered', { address });
  return {
    address,
    close: () => server.forceShutdown(),
  };
}

function createServer(settings: RpcServerSettings): Server {
  return new Server({
    'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
    'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
    'grpc.keepalive_time_ms': settings.keepaliveMs,
    'grpc.keepalive_timeout_ms': settings.keepaliveTimeoutMs,
    // Two processes must never share a port: one of them would get calls meant for the other.
    'grpc.so_reuseport': 0,
  });
}

function addService(server: Server, binding: ServiceBinding, host: CallHost): void {
  const definition: Record<string, ServiceDefinition[string]> = {};
  const implementation: Record<string, UntypedHandleCall> = {};
  for (const [name, method] of Object.entries(binding.service)) {
    const handler = binding.handlers[name];
    if (handler === undefined) throw new Error(`${method.path} has no handler.`);
    definition[name] = rawMethod(method);
    implementation[name] = method.responseStream
      ? (call: Parameters<typeof serveStream>[3]): void =>
          serveStream(method, handler as StreamHandler, host, call)
      : (call: Parameters<typeof serveUnary>[3], reply: Parameters<typeof serveUnary>[4]): void =>
          serveUnary(method, handler as UnaryHandler, host, call, reply);
  }
  server.addService(definition, implementation);
}

/** Messages pass the library as bytes: what cannot be read or written then ends in an error of ours. */
function rawMethod(method: RpcMethod): ServiceDefinition[string] {
  const same = (bytes: Buffer): Buffer => bytes;
  return {
    path: method.path,
    requestStream: method.requestStream,
    responseStream: method.responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

function bind(
  server: Server,
  listen: RpcAddress,
  credentials: ServerCredentials,
  field: string,
): Promise<number> {
  const target = formatAddress(listen);
  return new Promise((resolve, reject) => {
    const refuse = (cause: unknown): void => {
      server.forceShutdown();
      reject(bindError(target, cause, field));
    };
    try {
      server.bindAsync(target, credentials, (error, port) =>
        error === null ? resolve(port) : refuse(error),
      );
    } catch (cause) {
      refuse(cause);
    }
  });
}

function createStop(
  server: Server,
  open: Set<OpenCall>,
  flushTimeoutMs: number,
): (graceMs: number) => Promise<void> {
  let stopped: Promise<void> | undefined;
  let graceTimer: NodeJS.Timeout | undefined;
  let forceTimer: NodeJS.Timeout | undefined;
  let graceEndsMs = Infinity;

  const endCalls = (): void => {
    const error = new RuneError('SERVICE_SHUTTING_DOWN', 'This service is shutting down.');
    for (const call of open) call.end(error);
    forceTimer ??= setTimeout(() => server.forceShutdown(), flushTimeoutMs);
  };
  return (graceMs) => {
    stopped ??= new Promise<void>((resolve) => server.tryShutdown(() => resolve())).finally(() => {
      clearTimeout(graceTimer);
      clearTimeout(forceTimer);
    });
    if (Date.now() + graceMs < graceEndsMs) {
      graceEndsMs = Date.now() + graceMs;
      clearTimeout(graceTimer);
      graceTimer = setTimeout(endCalls, graceMs);
    }
    return stopped;
  };
}
