import { LmmServiceService, MediateRequest } from '../../services/shared/gen/rune/v1/lmm.js';
import { RuneError } from '../../services/shared/errors.js';
import { createRpcClient } from '../../services/shared/rpc/rpc-client.js';

// A process that attaches to a run: it tells how many events it has read at the first of them, and how its stream ended.
const [address = '', runId = '', lmmInstanceId = ''] = process.argv.slice(2);
const client = createRpcClient(LmmServiceService, { address });
const attach = { runId, lmmInstanceId, afterEvent: 0, ownerEpoch: 1 };
process.on('disconnect', () => process.exit(0));
try {
  const request = MediateRequest.fromPartial({ command: { $case: 'attach', value: attach } });
  for await (const { eventNo } of client.mediate(request))
    if (eventNo === 1) process.send?.({ reading: true });
  process.send?.({ ended: 'OK' });
} catch (error) {
  process.send?.({ ended: RuneError.from(error).name });
}
