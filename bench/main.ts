import { parseArgs } from 'node:util';
import { formatRow, HEADER } from './format-row.js';
import type { Bench, Row } from './row.js';

interface Measurement {
  /** How it is asked for: by number, where the documentation numbers it, or by name. */
  readonly number?: number;
  readonly name: string;
  readonly about: string;
  /** Nothing for a measurement that only explains another one. */
  readonly measure: (bench: Bench) => Promise<Row | readonly Row[] | undefined>;
}

const MEASUREMENTS: readonly Measurement[] = [
  {
    number: 1,
    name: 'warm-action-p50',
    about: 'one warm action over SSH, median',
    measure: async (bench) => (await import('./rows/warm-action-p50.js')).warmActionP50(bench),
  },
  {
    number: 2,
    name: 'throughput-64',
    about: 'actions a second with 64 in flight over SSH to one node',
    measure: async (bench) => (await import('./rows/throughput-64.js')).throughput64(bench),
  },
  {
    number: 3,
    name: 'fan-out-warm',
    about: 'one execution on 59 nodes against `ansible -m script` with 59 forks, both warm',
    measure: async (bench) => (await import('./rows/fan-out-warm.js')).fanOutWarm(bench),
  },
  {
    number: 4,
    name: 'fan-out-cold',
    about: 'the same without connections against parallel-ssh, clush and pdsh',
    measure: async (bench) => (await import('./rows/fan-out-cold.js')).fanOutCold(bench),
  },
  {
    number: 5,
    name: 'control-plane',
    about: 'executions a second of LOM with a durable store and a mediator that answers at once',
    measure: async (bench) => (await import('./rows/control-plane.js')).controlPlane(bench),
  },
  {
    number: 6,
    name: 'output-1g',
    about: '1 GiB of log, every byte checked, and the memory it takes',
    measure: async (bench) => (await import('./rows/output-1g.js')).output1g(bench),
  },
  {
    number: 7,
    name: 'in-flight-1000',
    about: 'memory with 1,000 runs in flight over SSH',
    measure: async (bench) => (await import('./rows/in-flight-1000.js')).inFlight1000(bench),
  },
  {
    number: 8,
    name: 'cli-wall',
    about: 'wall time of `rune run` against `ansible HOST -m script`',
    measure: async (bench) => (await import('./rows/cli-wall.js')).cliWall(bench),
  },
  {
    name: 'fan-out-10k',
    about: 'what a node costs among 10,000 and among 1,000, with a mediator that answers at once',
    measure: async (bench) => (await import('./rows/fan-out-10k.js')).fanOut10k(bench),
  },
  {
    name: 'watchers-1000',
    about: 'what an event costs each of 1,000 and of 100 watchers of one execution',
    measure: async (bench) => (await import('./rows/watchers-1000.js')).watchers1000(bench),
  },
  {
    name: 'memory-100k',
    about: 'growth of LOM over 100,000 executions',
    measure: async (bench) => (await import('./rows/memory-100k.js')).memory100k(bench),
  },
  {
    name: 'lib-100k-params',
    about: 'the plugin library reads ten parameters out of 100 KB',
    measure: async (bench) => (await import('./rows/lib-100k-params.js')).lib100kParams(bench),
  },
  {
    name: 'lib-100k-tiny-params',
    about: 'the same out of thousands of short ones',
    measure: async (bench) => (await import('./rows/lib-100k-tiny-params.js')).lib100kTinyParams(bench),
  },
  {
    name: 'lib-1m-escape-in',
    about: 'the plugin library reads 1 MB of escapes',
    measure: async (bench) => (await import('./rows/lib-1m-escape-in.js')).lib1mEscapeIn(bench),
  },
  {
    name: 'lib-1m-unicode-in',
    about: 'the plugin library reads 1 MB of \\u escapes',
    measure: async (bench) => (await import('./rows/lib-1m-unicode-in.js')).lib1mUnicodeIn(bench),
  },
  {
    name: 'lib-1m-escape-out',
    about: 'the plugin library prints 1 MB that needs escapes',
    measure: async (bench) => (await import('./rows/lib-1m-escape-out.js')).lib1mEscapeOut(bench),
  },
  {
    name: 'phases',
    about: 'where the time of a warm action goes; a table on stderr, no row',
    measure: async (bench) => {
      await (await import('./phases.js')).phases(bench);
      return undefined;
    },
  },
];

const USAGE = `Usage: npm run bench [-- --row NUMBER|NAME]...

Prints one line a target on stdout: name[unit], ours, the baseline measured beside it, ours/baseline, the target, pass or FAIL.
Everything else goes to stderr. Needs root and openssh-server. Ends with 0 when everything ran (FAIL is a result), with 1 when
something could not, with 2 for a wrong command line.

${MEASUREMENTS.map(({ number, name, about }) => `  ${String(number ?? '').padStart(2)}  ${name.padEnd(18)} ${about}`).join('\n')}
`;

function chosen(names: readonly string[] | undefined): readonly Measurement[] | string {
  if (names === undefined) return MEASUREMENTS;
  const known = (wanted: string): Measurement | undefined =>
    MEASUREMENTS.find(({ number, name }) => name === wanted || String(number) === wanted);
  const unknown = names.filter((name) => known(name) === undefined);
  if (unknown.length > 0) return `There is no row ${unknown.join(', ')}.\n\n${USAGE}`;
  return names.flatMap((name) => known(name) ?? []);
}

function parse(): { names: string[] | undefined; help: boolean } | string {
  try {
    const { values } = parseArgs({
      options: { row: { type: 'string', multiple: true }, help: { type: 'boolean', short: 'h' } },
    });
    return { names: values.row, help: values.help ?? false };
  } catch (error) {
    return `${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`;
  }
}

/** The first interrupt lets a measurement clean up, the second one does not. */
function watchInterrupts(): AbortSignal {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(1);
    controller.abort(new Error('interrupted'));
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return controller.signal;
}

async function main(): Promise<number> {
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  const asked = parse();
  if (typeof asked === 'string') {
    say(asked);
    return 2;
  }
  if (asked.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const measurements = chosen(asked.names);
  if (typeof measurements === 'string') {
    say(measurements);
    return 2;
  }
  const signal = watchInterrupts();
  let code = 0;
  say(HEADER);
  for (const { name, measure } of measurements) {
    if (signal.aborted) return 1;
    try {
      const rows = await measure({ signal, say: (text) => say(`# ${name}: ${text}`) });
      for (const each of [rows ?? []].flat()) process.stdout.write(`${formatRow(each)}\n`);
    } catch (error) {
      say(
        `# ${name} could not run: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
      code = 1;
    }
  }
  return code;
}

process.exitCode = await main();
