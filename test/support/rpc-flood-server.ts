import { bindService } from '../../services/shared/rpc/rpc-binding.js';
import { startRpcServer } from '../../services/shared/rpc/rpc-server.js';
import { createLogger } from '../../services/shared/logging/logger.js';
import { LmmServiceService } from '../../services/shared/gen/rune/v1/lmm.js';
import type { MediateResponse } from '../../services/shared/gen/rune/v1/lmm.js';
import { LogLevel, LogStream } from '../../services/shared/gen/rune/v1/run.js';
import { EMPTY_HANDLERS } from './rpc-pair.js';

// A server process whose Mediate streams as many 64 KiB messages as the run id says. It answers "rss" with its memory and
// tells how many messages its generator has made.
const CHUNK = Buffer.alloc(64 * 1024 - 200, 'x');
let made = 0;

function message(eventNo: number): MediateResponse {
  const line = {
    content: { $case: 'raw' as const, value: CHUNK },
    stream: LogStream.STDERR,
    truncated: false,
    level: LogLevel.UNSPECIFIED,
  };
  return {
    header: undefined,
    runId: '',
    eventNo,
    at: undefined,
    lmmInstanceId: '',
    event: { $case: 'log', value: { lines: [line], droppedBytes: 0 } },
  };
}

const server = await startRpcServer({
  listen: '127.0.0.1:0',
  logger: createLogger({ level: 'warn', service: 'flood', stream: process.stderr }),
  source: 'flood',
  bindings: [
    bindService(LmmServiceService, {
      ...EMPTY_HANDLERS,
      async *mediate(request) {
        const count = Number(request.command?.value.runId);
        for (made = 0; made < count; made += 1) yield message(made + 1);
      },
    }),
  ],
});
process.on('message', () => process.send?.({ rssBytes: process.memoryUsage.rss(), made }));
process.on('disconnect', () => process.exit(0));
process.send?.({ address: server.address });
