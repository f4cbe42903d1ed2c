import { setTimeout as delay } from 'node:timers/promises';
import { toMs } from '../services/shared/messages/duration.js';
import type { Outcome } from '../services/shared/gen/rune/v1/run.js';
import type { World } from '../test/support/world.js';
import type { Bench } from './row.js';
import { directMediator } from './support/direct-mediator.js';
import { NODE, noopInput } from './support/noop.js';
import { prepareProtocol, type ProtocolPhases } from './support/node-protocol.js';
import { percentile } from './support/percentile.js';
import { runRaw } from './support/raw-ssh.js';
import { connectSsh } from './support/ssh-client.js';
import { inFlight } from './support/in-flight.js';
import { timed } from './support/timed.js';
import { WARM_RUNS } from './support/warm-runs.js';
import { withWorld } from './support/with-world.js';

const SAMPLES = 150;
const WARM_UP = 20;
const WARM_UP_WIDTH = 4;
const SETTLE_MS = 10;

/** One `noop` the whole way, in milliseconds. */
interface WholeWay {
  readonly firstEventMs: number;
  readonly endMs: number;
  readonly outcome: Outcome;
}

async function runWhole({ client }: World): Promise<WholeWay> {
  const startedMs = performance.now();
  let firstEventMs: number | undefined;
  let outcome: Outcome | undefined;
  for await (const { event } of client.run({ action: 'noop', targets: { nodes: [NODE] } })) {
    firstEventMs ??= performance.now() - startedMs;
    if (event?.$case === 'outcome') outcome = event.value;
  }
  if (firstEventMs === undefined || outcome === undefined) throw new Error('noop ended without an outcome');
  return { firstEventMs, endMs: performance.now() - startedMs, outcome };
}

const onNodeMs = ({ phases }: Outcome): number =>
  [phases?.connect, phases?.start, phases?.run].reduce(
    (sum, phase) => sum + (phase === undefined ? 0 : toMs(phase)),
    0,
  );

/**
 * Says where the time of a warm action goes. The services do not report what they spend themselves, so it is measured by
 * leaving them out: the whole way, the mediator called directly, the node protocol alone, and raw, in turns.
 */
export function phases({ signal, say }: Bench): Promise<void> {
  return withWorld(async (world) => {
    const { sshd } = world;
    const mediator = await directMediator(world);
    const connection = await connectSsh(sshd, sshd.users.unprivileged);
    try {
      await inFlight(WARM_UP_WIDTH, WARM_RUNS, () => runWhole(world));
      const protocol = await prepareProtocol(connection);
      const input = noopInput();
      const seen = new Map<string, number[]>();
      const note = (name: string, ms: number): void => {
        const times = seen.get(name) ?? [];
        seen.set(name, times);
        times.push(ms);
      };
      for (let sample = -WARM_UP; sample < SAMPLES; sample++) {
        signal.throwIfAborted();
        const whole = await runWhole(world);
        await delay(SETTLE_MS);
        let direct: Outcome | undefined;
        const directMs = await timed(async () => (direct = await mediator.runNoop()));
        await delay(SETTLE_MS);
        const parts = await protocol();
        await delay(SETTLE_MS);
        const rawMs = await timed(() => runRaw(connection, input));
        await delay(SETTLE_MS);
        if (sample < 0 || direct === undefined) continue;
        note('whole', whole.endMs);
        note('first', whole.firstEventMs);
        note('direct', directMs);
        note('lmm', directMs - onNodeMs(direct));
        note('services', whole.endMs - onNodeMs(whole.outcome));
        for (const name of Object.keys(parts) as (keyof ProtocolPhases)[]) note(name, parts[name]);
        note('protocol', parts.openMs + parts.beginMs + parts.startMs + parts.answerMs + parts.endMs);
        note('raw', rawMs);
      }
      const at = (name: string, share: number): number => percentile(seen.get(name) ?? [], share);
      const line = (about: string, p50: number, p90?: number): void =>
        say(
          `${about.padEnd(66)} ${p50.toFixed(2).padStart(8)} ${(p90?.toFixed(2) ?? '').padStart(8)}`.trimEnd(),
        );
      const row = (about: string, name: string): void => line(about, at(name, 0.5), at(name, 0.9));
      say(`${'milliseconds'.padEnd(66)} ${'p50'.padStart(8)} ${'p90'.padStart(8)}`);
      row('client -> LOM -> client: call to first event (execution running)', 'first');
      line('LOM in all: whole way less the mediator called directly', at('whole', 0.5) - at('direct', 0.5));
      row('LMM and its gRPC: direct call less connect, start and run', 'lmm');
      row('node protocol alone: channel open', 'openMs');
      row('node protocol alone: upload to begin', 'beginMs');
      row('node protocol alone: go to started', 'startMs');
      row("node protocol alone: plugin, started to its answer's last byte", 'answerMs');
      row('node protocol alone: answer to end on both streams', 'endMs');
      row('(not waited for) end to the channel closed', 'closeMs');
      row('= node protocol alone', 'protocol');
      row('= mediator called directly', 'direct');
      row('= whole way, to the end of the stream', 'whole');
      row('raw', 'raw');
    } finally {
      connection.end();
      mediator.close();
    }
  });
}
