import { join } from 'node:path';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { makeRow, rowWithoutPeer, type Bench, type Row } from '../row.js';
import { prepareAnsible } from '../support/ansible.js';
import { requirePackage } from '../support/debian-package.js';
import { inPairs } from '../support/in-pairs.js';
import { NODE } from '../support/noop.js';
import { describeTimes, percentile } from '../support/percentile.js';
import { runProgram } from '../support/run-program.js';
import { timed } from '../support/timed.js';
import { withWorld } from '../support/with-world.js';

const PAIRS = 11;
/** The first run of Ansible makes its master connection; from the third on everything is warm. */
const WARM_UP_PAIRS = 2;
const SETTLE_MS = 100;

/** Wall time of `rune run noop` with the services up, against `ansible HOST -m script` with a master connection up. */
export function cliWall({ signal, say }: Bench): Promise<Row> {
  return withWorld(async ({ directory, lom, sshd }) => {
    const main = join(packageRoot, 'dist/bin/rune.cjs');
    const env = { PATH: process.env.PATH, HOME: directory, RUNE_SERVER: lom.address };
    const ours = (): Promise<string> =>
      runProgram({ file: process.execPath, args: [main, 'run', 'noop', '--node', NODE], env });
    const figures = { name: 'cli-wall', unit: 'ms', target: { relation: '<=', ratio: 1 / 3 } } as const;

    const missing = await requirePackage('ansible', 'ansible-core', say);
    if (missing !== undefined) {
      const times: number[] = [];
      for (let run = -WARM_UP_PAIRS; run < PAIRS; run++) times.push(await timed(ours));
      return rowWithoutPeer({ ...figures, ours: percentile(times.slice(WARM_UP_PAIRS), 0.5) }, missing);
    }
    const times = await inPairs({
      ours,
      baseline: await prepareAnsible(directory, sshd),
      warmUp: WARM_UP_PAIRS,
      count: PAIRS,
      settleMs: SETTLE_MS,
      signal,
    });
    say(`ours ${describeTimes(times.ours)}; ansible ${describeTimes(times.baseline)}; ${PAIRS} pairs`);
    const [wallMs, ansibleMs] = [percentile(times.ours, 0.5), percentile(times.baseline, 0.5)];
    return makeRow({ ...figures, ours: wallMs, baseline: ansibleMs });
  });
}
