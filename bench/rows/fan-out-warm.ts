import { makeRow, rowWithoutPeer, type Bench, type Row } from '../row.js';
import { prepareAnsible } from '../support/ansible.js';
import { requirePackage } from '../support/debian-package.js';
import { inPairs } from '../support/in-pairs.js';
import { runNoop } from '../support/noop.js';
import { describeTimes, percentile } from '../support/percentile.js';
import { timed } from '../support/timed.js';
import { WARM_RUNS } from '../support/warm-runs.js';
import { withFleet } from '../support/with-fleet.js';

const NODES = 59;
const PAIRS = 3;
/** From its third run on Ansible has all master connections. */
const WARM_UP_PAIRS = 2;
const SETTLE_MS = 1_000;

/** Wall time of one execution on 59 nodes with warm connections, against `ansible all -m script` with 59 forks. */
export function fanOutWarm({ signal, say }: Bench): Promise<Row> {
  return withFleet({ addresses: NODES }, async ({ client, nodes, addresses, directory, sshd }) => {
    const figures = { name: 'fan-out-warm', unit: 'ms', target: { relation: '<=', ratio: 1 / 10 } } as const;
    const ours = (): Promise<void> => runNoop(client, nodes);
    const missing = await requirePackage('ansible', 'ansible-core', say);
    if (missing !== undefined) {
      await ours();
      return rowWithoutPeer({ ...figures, ours: await timed(ours) }, missing);
    }
    for (let runs = 0; runs < WARM_RUNS; runs += NODES) {
      signal.throwIfAborted();
      await ours();
    }
    const times = await inPairs({
      ours,
      baseline: await prepareAnsible(directory, sshd, addresses),
      warmUp: WARM_UP_PAIRS,
      count: PAIRS,
      settleMs: SETTLE_MS,
      signal,
    });
    say(`ours ${describeTimes(times.ours)}; ansible ${describeTimes(times.baseline)}; ${PAIRS} pairs`);
    return makeRow({
      ...figures,
      ours: percentile(times.ours, 0.5),
      baseline: percentile(times.baseline, 0.5),
    });
  });
}
