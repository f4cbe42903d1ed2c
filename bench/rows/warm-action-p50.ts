import { makeRow, type Bench, type Row } from '../row.js';
import { inFlight } from '../support/in-flight.js';
import { inPairs } from '../support/in-pairs.js';
import { noopInput, runNoop } from '../support/noop.js';
import { describeTimes, percentile } from '../support/percentile.js';
import { runRaw } from '../support/raw-ssh.js';
import { connectSsh } from '../support/ssh-client.js';
import { WARM_RUNS } from '../support/warm-runs.js';
import { withWorld } from '../support/with-world.js';

const PAIRS = 300;
const WARM_UP_PAIRS = 30;
const SETTLE_MS = 10;
/** Channels that sshd carries on one connection without refusing any. */
const WARM_UP_WIDTH = 4;

/** One action over a warm SSH connection through client, LOM and LMM, against the raw one over a connection of its own. */
export function warmActionP50({ signal, say }: Bench): Promise<Row> {
  return withWorld(async ({ client, sshd }) => {
    const connection = await connectSsh(sshd, sshd.users.unprivileged);
    try {
      const input = noopInput();
      const abortable = (action: () => Promise<void>) => (): Promise<void> => {
        signal.throwIfAborted();
        return action();
      };
      const [ours, raw] = [abortable(() => runNoop(client)), abortable(() => runRaw(connection, input))];
      await inFlight(WARM_UP_WIDTH, WARM_RUNS, ours);
      await inFlight(WARM_UP_WIDTH, WARM_RUNS, raw);
      const times = await inPairs({
        ours,
        baseline: raw,
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
