import { join } from 'node:path';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { makeRow, type Bench, type Row } from '../row.js';
import { describeTimes, percentile } from './percentile.js';
import { runProgram } from './run-program.js';
import { timed } from './timed.js';

/** One use of the plugin library and how long it may take. */
export interface LibraryUse {
  readonly name: string;
  /** Bash, run behind the library. */
  readonly script: string;
  readonly params: Readonly<Record<string, string>>;
  /** What stands in the input instead of what JSON.stringify writes, where JSON has more than one way. */
  readonly escaped?: readonly [text: string, written: string];
  readonly boundMs: number;
  /** Throws when the answer is not the right one. */
  readonly check: (answer: string) => void;
}

const RUNS = 15;

/** A row whose baseline is a bound: the median of a whole process, from its start to its end, library loaded from a file. */
export async function libraryRow({ signal, say }: Bench, use: LibraryUse): Promise<Row> {
  const library = join(packageRoot, 'plugins', 'lib', 'rune_bpcs.sh');
  const document = JSON.stringify({
    message_metadata: { version: '1.0', message_id: 'bench' },
    payload: { input_parameters: use.params, context: { dry_run: false } },
    observability: { trace_id: '', span_id: '' },
  });
  const [text, written] = use.escaped ?? ['', ''];
  const input = Buffer.from(text === '' ? document : document.replaceAll(text, () => written));
  const times: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    signal.throwIfAborted();
    const args = ['--noprofile', '--norc', '-c', `. "$1"; ${use.script}`, 'plugin.sh', library];
    const env = { PATH: process.env.PATH, LANG: 'C.UTF-8' };
    times.push(await timed(async () => use.check(await runProgram({ file: 'bash', args, env, input }))));
  }
  say(`${describeTimes(times)}; input ${input.length} bytes, ${RUNS} runs`);
  return makeRow({
    name: use.name,
    unit: 'ms',
    ours: percentile(times, 0.5),
    baseline: use.boundMs,
    target: { relation: '<=', ratio: 1 },
  });
}

/** The output data of a plugin's answer. */
export function outputOf(answer: string): unknown {
  const { payload } = JSON.parse(answer) as { payload: { output_data: unknown } };
  return payload.output_data;
}
