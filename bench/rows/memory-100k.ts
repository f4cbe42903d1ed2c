import { residentBytes } from '../../test/support/resident-bytes.js';
import { makeRow, type Bench, type Row } from '../row.js';
import { inFlight } from '../support/in-flight.js';
import { runNoop } from '../support/noop.js';
import { withNullNodes } from '../support/with-null-nodes.js';

const WIDTH = 64;
const EXECUTIONS = 100_000;
const STEP = 10_000;
/** Until then heap and caches become as large as they stay. */
const WARM_STEPS = 2;
const MEBIBYTE = 1024 * 1024;
const GROWTH_MEBIBYTES_MAX = 32;

/** How much LOM grows over 100,000 executions, from the 20,000th on. */
export function memory100k({ signal, say }: Bench): Promise<Row> {
  return withNullNodes({ nodes: WIDTH }, async ({ client, lom, nodes }) => {
    const sizes: number[] = [];
    for (let done = 0; done < EXECUTIONS; done += STEP) {
      const rate = await inFlight(WIDTH, STEP, (lane) => {
        signal.throwIfAborted();
        return runNoop(client, [nodes[lane] ?? '']);
      });
      sizes.push(residentBytes(lom.pid) / MEBIBYTE);
      say(`${done + STEP} executions: ${sizes.at(-1)?.toFixed(0)} MiB, ${rate.toFixed(0)} a second`);
    }
    return makeRow({
      name: 'memory-100k',
      unit: 'MiB',
      ours: Math.max(0, Math.max(...sizes.slice(WARM_STEPS)) - (sizes[WARM_STEPS - 1] ?? 0)),
      baseline: GROWTH_MEBIBYTES_MAX,
      target: { relation: '<=', ratio: 1 },
    });
  });
}
