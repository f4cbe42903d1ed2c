import type { Client } from 'ssh2';
import { makeRow, type Bench, type Row } from '../row.js';
import { inFlight } from '../support/in-flight.js';
import { noopInput, runNoop } from '../support/noop.js';
import { percentile } from '../support/percentile.js';
import { runRaw } from '../support/raw-ssh.js';
import { connectSsh } from '../support/ssh-client.js';
import { WARM_RUNS } from '../support/warm-runs.js';
import { withWorld } from '../support/with-world.js';

const WIDTH = 64;
/** With four channels on each they carry the 64; more channels on one connection meet sshd's MaxSessions. */
const CONNECTIONS = 16;
const ROUNDS = 5;
const ACTIONS_A_ROUND = 256;

/** Actions a second with 64 in flight to one node, against raw ones over 16 connections with 4 channels each. */
export function throughput64({ signal, say }: Bench): Promise<Row> {
  return withWorld(async ({ client, sshd }) => {
    const connections: Client[] = [];
    try {
      // One after the other: sshd drops handshakes that come in a burst.
      while (connections.length < CONNECTIONS)
        connections.push(await connectSsh(sshd, sshd.users.unprivileged));
      const input = noopInput();
      const raw = (lane: number): Promise<void> => {
        signal.throwIfAborted();
        return runRaw(connections[lane % CONNECTIONS] as Client, input);
      };
      const ours = (): Promise<void> => {
        signal.throwIfAborted();
        return runNoop(client);
      };
      await inFlight(WIDTH, WARM_RUNS, raw);
      await inFlight(WIDTH, WARM_RUNS, ours);
      const loginsWarm = sshd.loginCount();
      const rates = { ours: [] as number[], raw: [] as number[] };
      for (let round = 1; round <= ROUNDS; round++) {
        rates.ours.push(await inFlight(WIDTH, ACTIONS_A_ROUND, ours));
        rates.raw.push(await inFlight(WIDTH, ACTIONS_A_ROUND, raw));
      }
      const list = (all: readonly number[]): string => all.map((rate) => rate.toFixed(0)).join(' ');
      say(`actions a second by round: ours ${list(rates.ours)}; raw ${list(rates.raw)}`);
      say(
        `LMM had ${loginsWarm - CONNECTIONS} connections after the warm-up and made ${sshd.loginCount() - loginsWarm} more`,
      );
      return makeRow({
        name: 'throughput-64',
        unit: '1/s',
        ours: percentile(rates.ours, 0.5),
        baseline: percentile(rates.raw, 0.5),
        target: { relation: '>=', ratio: 0.4 },
      });
    } finally {
      for (const connection of connections) connection.end();
    }
  });
}
