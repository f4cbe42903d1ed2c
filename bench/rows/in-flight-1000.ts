import { RunState } from '../../services/shared/gen/rune/v1/run.js';
import { makeRow, type Bench, type Row } from '../row.js';
import { watchMemory } from '../support/watch-memory.js';
import { withFleet } from '../support/with-fleet.js';

const ADDRESSES = 250;
const NODES_PER_ADDRESS = 4;
const RUNS = ADDRESSES * NODES_PER_ADDRESS;
const MEBIBYTE = 1024 * 1024;
const MEMORY_MEBIBYTES_MAX = 300;
const SECONDS = 3_600;

/** Memory of the larger service with 1,000 runs in flight over SSH, all of them at once, against what it may have. */
export function inFlight1000({ signal, say }: Bench): Promise<Row> {
  const fleet = {
    addresses: ADDRESSES,
    nodesPerAddress: NODES_PER_ADDRESS,
    lom: { parallel_max: RUNS, connect_timeout: '2m' },
    lmm: { runs_max: RUNS, connect_timeout: '2m' },
  };
  return withFleet(fleet, async ({ client, nodes, lom, lmm }) => {
    const memory = { lom: watchMemory(lom.pid), lmm: watchMemory(lmm.pid) };
    const most = { lom: 0, lmm: 0 };
    const ended = new Map<RunState, number>();
    let running = 0;
    let executionId = '';
    const request = { action: 'sleep-for', targets: { nodes: [...nodes] }, params: { seconds: SECONDS } };
    for await (const response of client.run(request, { signal })) {
      executionId = response.executionId;
      const { event } = response;
      if (event?.$case === 'outcome') ended.set(event.value.state, (ended.get(event.value.state) ?? 0) + 1);
      if (event?.$case !== 'state' || event.value !== RunState.RUNNING) continue;
      running += 1;
      if (running !== RUNS) continue;
      most.lom = memory.lom() / MEBIBYTE;
      most.lmm = memory.lmm() / MEBIBYTE;
      await client.cancelExecution({ executionId, reason: 'measured' });
    }
    if (running !== RUNS || ended.get(RunState.CANCELLED) !== RUNS) {
      throw new Error(`${running} of ${RUNS} runs were in flight; they ended ${JSON.stringify([...ended])}`);
    }
    say(`LOM ${most.lom.toFixed(0)} MiB, LMM ${most.lmm.toFixed(0)} MiB`);
    return makeRow({
      name: 'in-flight-1000',
      unit: 'MiB',
      ours: Math.max(most.lom, most.lmm),
      baseline: MEMORY_MEBIBYTES_MAX,
      target: { relation: '<=', ratio: 1 },
    });
  });
}
