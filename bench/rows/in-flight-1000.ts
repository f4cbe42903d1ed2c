import type { LomClient } from '../../services/cli/client.js';
import { RunState } from '../../services/shared/gen/rune/v1/run.js';
import { makeRow, type Bench, type Row } from '../row.js';
import { mostMemory } from '../support/most-memory.js';
import { withFleet } from '../support/with-fleet.js';

const ADDRESSES = 250;
const NODES_PER_ADDRESS = 4;
const RUNS = ADDRESSES * NODES_PER_ADDRESS;
const MEBIBYTE = 1024 * 1024;
const MEMORY_MEBIBYTES_MAX = 300;
/** The longest that the action takes; it must outlast the start of all others. */
const SECONDS = 600;

/** Starts a run on every node and returns when all of them are in flight; rejects if one ends before. */
async function fillUp(client: LomClient, nodes: readonly string[], signal: AbortSignal): Promise<void> {
  let running = 0;
  const request = { action: 'sleep-for', targets: { nodes: [...nodes] }, params: { seconds: SECONDS } };
  for await (const { event, node } of client.run(request, { signal })) {
    if (event?.$case === 'outcome') {
      const why = event.value.error?.errorData?.message ?? 'it succeeded';
      throw new Error(`With ${running} runs in flight, the one on ${node} ended: ${why}`);
    }
    if (event?.$case === 'state' && event.value === RunState.RUNNING) running += 1;
    if (running === nodes.length) return;
  }
  throw new Error(`The execution ended with ${running} runs in flight.`);
}

/** Memory of the larger service with 1,000 runs in flight over SSH, all of them at once, against what it may have. */
export function inFlight1000({ signal, say }: Bench): Promise<Row> {
  const fleet = {
    addresses: ADDRESSES,
    nodesPerAddress: NODES_PER_ADDRESS,
    lom: { parallel_max: RUNS, connect_timeout: '2m' },
    lmm: { runs_max: RUNS, connect_timeout: '2m' },
  };
  return withFleet(fleet, async ({ client, nodes, lom, lmm }) => {
    const most = await mostMemory({ lom, lmm }, () => fillUp(client, nodes, signal));
    const [lomMebibytes, lmmMebibytes] = [most.lom / MEBIBYTE, most.lmm / MEBIBYTE];
    say(`LOM ${lomMebibytes.toFixed(0)} MiB, LMM ${lmmMebibytes.toFixed(0)} MiB`);
    return makeRow({
      name: 'in-flight-1000',
      unit: 'MiB',
      ours: Math.max(lomMebibytes, lmmMebibytes),
      baseline: MEMORY_MEBIBYTES_MAX,
      target: { relation: '<=', ratio: 1 },
    });
  });
}
