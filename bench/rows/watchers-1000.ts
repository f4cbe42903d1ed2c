import { createClient, type LomClient } from '../../services/cli/client.js';
import { makeRow, type Bench, type Row } from '../row.js';
import { percentile } from '../support/percentile.js';
import { timed } from '../support/timed.js';
import { withNullNodes } from '../support/with-null-nodes.js';

const FEW = 100;
const MANY = 1_000;
const CONNECTIONS = 10;
const NODES = 100;
const ROUNDS = 3;
const US_A_MS = 1_000;

/** Watches from the first event to the last and resolves with their number. */
async function watch(client: LomClient, executionId: string): Promise<number> {
  let events = 0;
  for await (const { seq } of client.watchExecution({ executionId })) {
    events += 1;
    if (seq !== events) throw new Error(`Event ${seq} came instead of ${events}.`);
  }
  return events;
}

/** What an event costs each of 1,000 watchers of one execution, against 100; all attach while it goes on. */
export function watchers1000({ signal, say }: Bench): Promise<Row> {
  return withNullNodes({ nodes: NODES, lom: { parallel_max: 1 } }, async ({ client, lom, nodes }) => {
    const clients = Array.from({ length: CONNECTIONS }, () => createClient({ address: lom.address }));
    try {
      const usAnEvent = async (watchers: number): Promise<number> => {
        let events = 0;
        const tookMs = await timed(async () => {
          const { execution } = await client.submitExecution({
            action: 'noop',
            targets: { nodes: [...nodes] },
          });
          const executionId = execution?.executionId ?? '';
          const all = Array.from({ length: watchers }, (_watcher, index) =>
            watch(clients[index % CONNECTIONS] ?? client, executionId),
          );
          for (const seen of await Promise.all(all)) events += seen;
        });
        return (tookMs / events) * US_A_MS;
      };
      const costs = { few: [] as number[], many: [] as number[] };
      for (let round = 0; round <= ROUNDS; round++) {
        signal.throwIfAborted();
        const few: number[] = [];
        for (let watched = 0; watched < MANY; watched += FEW) few.push(await usAnEvent(FEW));
        const many = await usAnEvent(MANY);
        // The first round is for code that is not compiled yet.
        if (round === 0) continue;
        costs.few.push(percentile(few, 0.5));
        costs.many.push(many);
      }
      const list = (all: readonly number[]): string => all.map((us) => us.toFixed(0)).join(' ');
      say(
        `µs an event and watcher by round: ${list(costs.many)} with ${MANY}; ${list(costs.few)} with ${FEW}`,
      );
      return makeRow({
        name: 'watchers-1000',
        unit: 'us/event',
        ours: percentile(costs.many, 0.5),
        baseline: percentile(costs.few, 0.5),
        target: { relation: '<=', ratio: 1.25 },
      });
    } finally {
      for (const each of clients) each.close();
    }
  });
}
