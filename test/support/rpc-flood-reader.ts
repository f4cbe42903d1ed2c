import { LmmServiceService, MediateRequest } from '../../services/shared/gen/rune/v1/lmm.js';
import { createRpcClient } from '../../services/shared/rpc/rpc-client.js';

// A client process that calls Mediate of the flood server and reads only as it is told: {open: count}, {read: count},
// "rss". It answers each with its memory and how many messages it has read.
const address = process.argv[2] ?? '';
const client = createRpcClient(LmmServiceService, { address });
let messages = call(0);
let read = 0;

function call(count: number): ReturnType<typeof client.mediate> {
  const command = { $case: 'start' as const, value: { runId: String(count) } };
  return client.mediate(MediateRequest.fromPartial({ command }));
}

async function obey(order: { open?: number; read?: number }): Promise<void> {
  if (order.open !== undefined) {
    read = 0;
    await messages.return();
    messages = call(order.open);
  }
  for (let left = order.read ?? 0; left > 0; left -= 1) {
    const step = await messages.next();
    if (step.done === true) break;
    read += 1;
  }
}

process.on('message', (order: { open?: number; read?: number }) => {
  void obey(order).then(() => process.send?.({ rssBytes: process.memoryUsage.rss(), read }));
});
process.on('disconnect', () => process.exit(0));
process.send?.({ ready: true });
