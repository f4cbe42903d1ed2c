import { eventually } from '../../test/support/eventually.js';
import { makeRow, rowWithoutPeer, type Bench, type Row } from '../row.js';
import { runNoop } from '../support/noop.js';
import { prepareParallelShells } from '../support/parallel-shells.js';
import { describeTimes, percentile } from '../support/percentile.js';
import { timed } from '../support/timed.js';
import { WARM_RUNS } from '../support/warm-runs.js';
import { withFleet } from '../support/with-fleet.js';

const NODES = 59;
const ROUNDS = 5;
/** Connections are dropped as soon as nobody uses them, so that each execution needs new ones. */
const LMM = { ssh: { idle_max: '100ms' } };
const DROPPED_WITHIN_MS = 30_000;

/** Wall time of one execution on 59 nodes without a connection, against the fastest of parallel-ssh, clush and pdsh. */
export function fanOutCold({ signal, say }: Bench): Promise<Row> {
  return withFleet({ addresses: NODES, lmm: LMM }, async ({ client, nodes, addresses, directory, sshd }) => {
    const figures = { name: 'fan-out-cold', unit: 'ms', target: { relation: '<=', ratio: 1 / 3 } } as const;
    const { shells, missing } = await prepareParallelShells(directory, sshd, addresses, say);
    const ways = [{ name: 'ours', run: () => runNoop(client, nodes) }, ...shells];
    const times = new Map(ways.map(({ name }) => [name, [] as number[]]));
    const timedCold = async (run: () => Promise<unknown>): Promise<number> => {
      signal.throwIfAborted();
      await eventually(() => sshd.sessionPids().length === 0, {
        label: 'every connection to end',
        timeoutMs: DROPPED_WITHIN_MS,
      });
      return timed(run);
    };
    for (let runs = 0; runs < WARM_RUNS; runs += NODES) await timedCold(() => runNoop(client, nodes));
    for (let round = 0; round < ROUNDS; round++) {
      for (const { name, run } of ways) times.get(name)?.push(await timedCold(run));
    }
    for (const [name, samples] of times) say(`${name} ${describeTimes(samples)}; ${ROUNDS} rounds`);
    const median = (name: string): number => percentile(times.get(name) ?? [], 0.5);
    const ours = median('ours');
    if (missing.length > 0) return rowWithoutPeer({ ...figures, ours }, missing.join('; '));
    return makeRow({ ...figures, ours, baseline: Math.min(...shells.map(({ name }) => median(name))) });
  });
}
