import { PassThrough } from 'node:stream';
import {
  ListRunsResponse,
  LmmServiceService,
  MediateRequest,
} from '../../services/shared/gen/rune/v1/lmm.js';
import type { MediateResponse } from '../../services/shared/gen/rune/v1/lmm.js';
import { createLogger } from '../../services/shared/logging/logger.js';
import { bindService } from '../../services/shared/rpc/rpc-binding.js';
import type { Handlers } from '../../services/shared/rpc/rpc-binding.js';
import { createRpcClient } from '../../services/shared/rpc/rpc-client.js';
import type { RpcClient, RpcClientSettings } from '../../services/shared/rpc/rpc-client.js';
import { startRpcServer } from '../../services/shared/rpc/rpc-server.js';
import type { RpcServer, RpcServerSettings } from '../../services/shared/rpc/rpc-server.js';

/** The service that the tests of the gRPC adapters serve: it has unary methods and a stream. */
export type TestService = typeof LmmServiceService;

/** A real server and a real client of it over loopback. */
export interface RpcPair {
  readonly server: RpcServer;
  readonly client: RpcClient<TestService>;
  /** What the server has logged, line by line. */
  logged(): Record<string, unknown>[];
  /** Closes both at once. */
  stop(): Promise<void>;
}

/** Starts a server with these handlers (the others answer with empty messages) and a client of it. */
export async function startPair(
  handlers: Partial<Handlers<TestService>>,
  settings: { server?: Partial<RpcServerSettings>; client?: Partial<RpcClientSettings> } = {},
): Promise<RpcPair> {
  const log = new PassThrough();
  const lines: string[] = [];
  log.on('data', (chunk: Buffer) => lines.push(...chunk.toString().split('\n').filter(Boolean)));
  const server = await startRpcServer({
    listen: '127.0.0.1:0',
    logger: createLogger({ level: 'debug', service: 'test', stream: log }),
    source: 'rune-test',
    settings: settings.server ?? {},
    bindings: [bindService(LmmServiceService, { ...EMPTY_HANDLERS, ...handlers })],
  });
  const client = createRpcClient(LmmServiceService, {
    address: server.address,
    settings: settings.client ?? {},
  });
  return {
    server,
    client,
    logged: () => lines.map((line): Record<string, unknown> => JSON.parse(line)),
    async stop() {
      client.close();
      await server.stop(0);
    },
  };
}

/** Handlers that answer with empty messages. */
export const EMPTY_HANDLERS: Handlers<TestService> = {
  async *mediate() {
    yield* [];
  },
  cancelRun: async () => ({ header: undefined, lmmInstanceId: '' }),
  listRuns: async () => ListRunsResponse.create(),
  ackRun: async () => ({ header: undefined, lmmInstanceId: '' }),
  probeNode: async () => ({ header: undefined, lmmInstanceId: '', probe: undefined }),
};

/** A request for Mediate without a command. */
export function mediateRequest(): MediateRequest {
  return MediateRequest.create();
}

/** A response of Mediate with this number and nothing else. */
export function numbered(eventNo: number): MediateResponse {
  return { header: undefined, runId: '', eventNo, at: undefined, lmmInstanceId: '', event: undefined };
}

/** Resolves when the signal has aborted, with its reason. */
export function aborted(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    else signal.addEventListener('abort', () => resolve(signal.reason), { once: true });
  });
}
