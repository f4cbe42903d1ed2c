import { makeRow, type Bench, type Row } from '../row.js';
import { runNoop } from '../support/noop.js';
import { percentile } from '../support/percentile.js';
import { timed } from '../support/timed.js';
import { withNullNodes } from '../support/with-null-nodes.js';

const FEW = 1_000;
const MANY = 10_000;
const ROUNDS = 3;
const US_A_MS = 1_000;

/** What a node costs in one execution on 10,000 nodes, against one on 1,000, before a mediator that answers at once. */
export function fanOut10k({ signal, say }: Bench): Promise<Row> {
  return withNullNodes({ nodes: MANY }, async ({ client, nodes }) => {
    const costs = { few: [] as number[], many: [] as number[] };
    for (let round = 0; round <= ROUNDS; round++) {
      signal.throwIfAborted();
      // As many nodes on both sides, so that both meet the same moments of the machine.
      let fewMs = 0;
      for (let from = 0; from < MANY; from += FEW)
        fewMs += await timed(() => runNoop(client, nodes.slice(from, from + FEW)));
      const manyMs = await timed(() => runNoop(client, nodes));
      // The first round is for code that is not compiled yet.
      if (round === 0) continue;
      costs.few.push((fewMs / MANY) * US_A_MS);
      costs.many.push((manyMs / MANY) * US_A_MS);
    }
    const list = (all: readonly number[]): string => all.map((us) => us.toFixed(0)).join(' ');
    say(`µs a node by round: ${list(costs.many)} of ${MANY}; ${list(costs.few)} of ${FEW}`);
    return makeRow({
      name: 'fan-out-10k',
      unit: 'us/node',
      ours: percentile(costs.many, 0.5),
      baseline: percentile(costs.few, 0.5),
      target: { relation: '<=', ratio: 1.25 },
    });
  });
}
