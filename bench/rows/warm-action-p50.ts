import { makeRow, type Bench, type Row } from '../row.js';
import { inPairs } from '../support/in-pairs.js';
import { noopInput, runNoop } from '../support/noop.js';
import { describeTimes, percentile } from '../support/percentile.js';
import { runRaw } from '../support/raw-ssh.js';
import { connectSsh } from '../support/ssh-client.js';
import { withWorld } from '../support/with-world.js';

const PAIRS = 300;
const WARM_UP_PAIRS = 30;
const SETTLE_MS = 10;

/** One action over a warm SSH connection through client, LOM and LMM, against the raw one over a connection of its own. */
export function warmActionP50({ signal, say }: Bench): Promise<Row> {
  return withWorld(async ({ client, sshd }) => {
    const connection = await connectSsh(sshd, sshd.users.unprivileged);
    try {
      const input = noopInput();
      const times = await inPairs({
        ours: () => runNoop(client),
        baseline: () => runRaw(connection, input),
        warmUp: WARM_UP_PAIRS,
        count: PAIRS,
        settleMs: SETTLE_MS,
        signal,
      });
      say(`ours ${describeTimes(times.ours)}; raw ${describeTimes(times.baseline)}; ${PAIRS} pairs`);
      return makeRow({
        name: 'warm-action-p50',
        unit: 'ms',
        ours: percentile(times.ours, 0.5),
        baseline: percentile(times.baseline, 0.5),
        target: { relation: '<=', ratio: 3 },
      });
    } finally {
      connection.end();
    }
  });
}
