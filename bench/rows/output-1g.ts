import { createHash, type Hash } from 'node:crypto';
import type { Client } from 'ssh2';
import type { LomClient } from '../../services/cli/client.js';
import { ExecutionState, type LogLine } from '../../services/shared/gen/rune/v1/run.js';
import { makeRow, type Bench, type Row } from '../row.js';
import { NODE } from '../support/noop.js';
import { connectSsh } from '../support/ssh-client.js';
import { timed } from '../support/timed.js';
import { residentBytes } from '../../test/support/resident-bytes.js';
import { mostMemory } from '../support/most-memory.js';
import { withFleet } from '../support/with-fleet.js';

const MEBIBYTE = 1024 * 1024;
const WARM_UP_MEBIBYTES = 64;
const MEBIBYTES = 1024;
const MEMORY_MEBIBYTES_MAX = 64;
/** Prints the same bytes as the test action `flood-log`. */
const FLOOD = (mebibytes: number): string =>
  `printf -v line %01023d 0; line+=$'\\n'; for ((i = 0; i < 64; i++)); do block+=$line; done; ` +
  `for ((i = 0; i < ${mebibytes * 16}; i++)); do printf %s "$block" >&2; done\n`;

interface Received {
  readonly bytes: number;
  readonly digest: string;
}

/** Adds the bytes that the lines stand for and returns their number. A batch at a time, as the raw channel has chunks. */
function addLines(hash: Hash, lines: readonly LogLine[]): number {
  let bytes = 0;
  let text = '';
  const flush = (): void => {
    hash.update(text);
    bytes += Buffer.byteLength(text);
    text = '';
  };
  for (const { content, truncated } of lines) {
    if (content?.$case === 'raw') {
      flush();
      hash.update(content.value);
      bytes += content.value.length;
    } else {
      text += content?.value ?? '';
    }
    if (!truncated) text += '\n';
  }
  flush();
  return bytes;
}

async function receive(client: LomClient, mebibytes: number, signal: AbortSignal): Promise<Received> {
  const hash = createHash('sha256');
  let bytes = 0;
  let state: ExecutionState = ExecutionState.UNSPECIFIED;
  const request = { action: 'flood-log', targets: { nodes: [NODE] }, params: { mebibytes } };
  for await (const { event } of client.run(request, { signal })) {
    if (event?.$case === 'execution') state = event.value.state;
    if (event?.$case !== 'log') continue;
    if (event.value.droppedBytes > 0) throw new Error(`${event.value.droppedBytes} bytes were dropped`);
    bytes += addLines(hash, event.value.lines);
  }
  if (state !== ExecutionState.SUCCEEDED) throw new Error(`flood-log ended in state ${state}`);
  return { bytes, digest: hash.digest('hex') };
}

function receiveRaw(client: Client, mebibytes: number): Promise<Received> {
  return new Promise((resolve, reject) => {
    client.exec('exec bash --noprofile --norc -s', (error, stream) => {
      if (error) return reject(error);
      const hash = createHash('sha256');
      let bytes = 0;
      stream.resume();
      stream.stderr.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        hash.update(chunk);
      });
      stream.once('close', () => resolve({ bytes, digest: hash.digest('hex') }));
      stream.end(FLOOD(mebibytes));
    });
  });
}

/** 1 GiB of a plugin's log, every byte checked, against the same bytes over a raw channel; and the memory that it takes. */
export function output1g({ signal, say }: Bench): Promise<Row[]> {
  const limits = { lom: { log: { run_max: '2GiB', execution_max: '4GiB' } }, lmm: { log_max: '2GiB' } };
  return withFleet({ addresses: 0, ...limits }, async ({ client, sshd, lom, lmm }) => {
    const connection = await connectSsh(sshd, sshd.users.unprivileged);
    try {
      await receive(client, WARM_UP_MEBIBYTES, signal);
      await receiveRaw(connection, WARM_UP_MEBIBYTES);
      let raw: Received | undefined;
      const rawMs = await timed(async () => (raw = await receiveRaw(connection, MEBIBYTES)));
      const before = { lom: residentBytes(lom.pid), lmm: residentBytes(lmm.pid) };
      let ours: Received | undefined;
      let oursMs = 0;
      const most = await mostMemory({ lom, lmm }, async () => {
        oursMs = await timed(async () => (ours = await receive(client, MEBIBYTES, signal)));
      });
      const grown = { lom: (most.lom - before.lom) / MEBIBYTE, lmm: (most.lmm - before.lmm) / MEBIBYTE };
      if (ours?.digest !== raw?.digest)
        throw new Error(`${ours?.bytes} bytes came, not the ${raw?.bytes} that were printed`);
      say(`LOM grew by ${grown.lom.toFixed(0)} MiB, LMM by ${grown.lmm.toFixed(0)} MiB; every byte came`);
      return [
        makeRow({
          name: 'output-1g',
          unit: 'MiB/s',
          ours: (MEBIBYTES / oursMs) * 1000,
          baseline: (MEBIBYTES / rawMs) * 1000,
          target: { relation: '>=', ratio: 0.5 },
        }),
        makeRow({
          name: 'output-1g-memory',
          unit: 'MiB',
          ours: Math.max(grown.lom, grown.lmm),
          baseline: MEMORY_MEBIBYTES_MAX,
          target: { relation: '<=', ratio: 1 },
        }),
      ];
    } finally {
      connection.end();
    }
  });
}
