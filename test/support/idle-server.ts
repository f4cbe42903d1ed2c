import { PassThrough } from 'node:stream';
import { LmmServiceService } from '../../services/shared/gen/rune/v1/lmm.js';
import { createLogger } from '../../services/shared/logging/logger.js';
import { bindService } from '../../services/shared/rpc/rpc-binding.js';
import {
  startRpcServer,
  type RpcServer,
  type RpcServerOptions,
} from '../../services/shared/rpc/rpc-server.js';
import { EMPTY_HANDLERS } from './rpc-pair.js';

/** Starts a server that does nothing, some of it other than usual. */
export function startIdleServer(options: Partial<RpcServerOptions>): Promise<RpcServer> {
  return startRpcServer({
    listen: '127.0.0.1:0',
    logger: createLogger({ level: 'error', service: 'test', stream: new PassThrough() }),
    source: 'rune-test',
    bindings: [bindService(LmmServiceService, EMPTY_HANDLERS)],
    ...options,
  });
}
