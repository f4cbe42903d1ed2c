import { openStore } from '../../../services/lom/store/open-store.js';
import { recordingLogger } from '../../support/recording-logger.js';
import { create, event } from './new-execution.js';

// A process that writes to the store its argument names until it is killed: it prints the id of its execution, then the number of
// each event once that is acknowledged.
const settings = { storeConnectTimeoutMs: 5_000, storeStatementTimeoutMs: 10_000, storeConnectionsMax: 2 };
const say = (text: string): Promise<void> =>
  new Promise((resolve) => process.stdout.write(`${text}\n`, () => resolve()));

const store = await openStore(process.argv[2] ?? '', settings, recordingLogger().logger);
const executionId = await create(store);
await say(executionId);
for (let seq = 2; ; seq += 1) {
  const bytes = (seq * 97) % 5_000;
  try {
    await store.commit([{ executionId, epoch: 1, events: [event(seq, 'web01', 'log', bytes)], runs: [] }]);
    await say(String(seq));
  } catch (error) {
    await say((error as Error).name);
    seq -= 1;
  }
}
