import { lmmHandlers } from '../../services/lmm/handlers.js';
import type { Mediator } from '../../services/lmm/mediate.js';
import { LmmServiceService } from '../../services/shared/gen/rune/v1/lmm.js';
import { bindService } from '../../services/shared/rpc/rpc-binding.js';
import { createRpcClient, type RpcClient } from '../../services/shared/rpc/rpc-client.js';
import { startRpcServer, type RpcServerSettings } from '../../services/shared/rpc/rpc-server.js';
import { recordingLogger } from './recording-logger.js';

/** A mediator behind a real server on loopback. */
export interface MediatorServer {
  readonly address: string;
  readonly client: RpcClient<typeof LmmServiceService>;
  /** A second client with a connection of its own; closed with the server. */
  connect(): RpcClient<typeof LmmServiceService>;
  stop(): Promise<void>;
}

/** Serves a mediator. */
export async function serveMediator(
  mediator: Mediator,
  settings: Partial<RpcServerSettings> = {},
  listen = '127.0.0.1:0',
): Promise<MediatorServer> {
  const server = await startRpcServer({
    listen,
    bindings: [bindService(LmmServiceService, lmmHandlers(mediator))],
    settings,
    logger: recordingLogger().logger,
    source: 'lmm',
    facts: { lmmInstanceId: mediator.instanceId },
  });
  const clients: RpcClient<typeof LmmServiceService>[] = [];
  const connect = (): RpcClient<typeof LmmServiceService> => {
    const client = createRpcClient(LmmServiceService, { address: server.address });
    clients.push(client);
    return client;
  };
  return {
    address: server.address,
    client: connect(),
    connect,
    async stop() {
      await mediator.drain(0);
      for (const client of clients) client.close();
      await server.stop(0);
    },
  };
}
