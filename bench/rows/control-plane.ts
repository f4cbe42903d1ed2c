import { makeRow, type Bench, type Row } from '../row.js';
import { cpuMs } from '../support/cpu-ms.js';
import { inFlight } from '../support/in-flight.js';
import { runNoop } from '../support/noop.js';
import { percentile } from '../support/percentile.js';
import { WARM_RUNS } from '../support/warm-runs.js';
import { withNullNodes } from '../support/with-null-nodes.js';

const WIDTH = 64;
const EXECUTIONS_A_ROUND = 1_000;
const ROUNDS = 5;
const WARM_UP_ROUNDS = WARM_RUNS / EXECUTIONS_A_ROUND;
const PER_SECOND = 800;

/** Executions a second of LOM with a durable store, before a mediator that answers at once; against the same without group commit. */
export function controlPlane({ signal, say }: Bench): Promise<Row[]> {
  return withNullNodes({ nodes: WIDTH }, (grouped) =>
    withNullNodes({ nodes: WIDTH, ungrouped: true }, async (ungrouped) => {
      const sides = { grouped, ungrouped };
      const rates = { grouped: [] as number[], ungrouped: [] as number[] };
      const busyMs = { grouped: 0, ungrouped: 0 };
      for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
        for (const side of ['grouped', 'ungrouped'] as const) {
          signal.throwIfAborted();
          const { client, lom, nodes } = sides[side];
          const beforeMs = cpuMs(lom.pid);
          const rate = await inFlight(WIDTH, EXECUTIONS_A_ROUND, (lane) =>
            runNoop(client, [nodes[lane] ?? '']),
          );
          if (round < 0) continue;
          rates[side].push(rate);
          busyMs[side] += cpuMs(lom.pid) - beforeMs;
        }
      }
      const list = (all: readonly number[]): string => all.map((rate) => rate.toFixed(0)).join(' ');
      say(`executions a second by round: ${list(rates.grouped)}; without groups ${list(rates.ungrouped)}`);
      const cpu = (side: 'grouped' | 'ungrouped'): string =>
        (busyMs[side] / ROUNDS / EXECUTIONS_A_ROUND).toFixed(2);
      say(`processor time of LOM for one: ${cpu('grouped')} ms; without groups ${cpu('ungrouped')} ms`);
      const ours = percentile(rates.grouped, 0.5);
      const figures = { unit: '1/s', ours, target: { relation: '>=', ratio: 1 } } as const;
      return [
        makeRow({ name: 'control-plane', ...figures, baseline: PER_SECOND }),
        makeRow({ name: 'control-plane-groups', ...figures, baseline: percentile(rates.ungrouped, 0.5) }),
      ];
    }),
  );
}
