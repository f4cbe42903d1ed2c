import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { runStorm, SILENT_WEATHER } from './storm.js';

const USAGE = `Usage: npm run chaos -- [--minutes N] [--runs N] [--seed S]

Runs actions on 50 nodes of a throw-away sshd through two orchestrators over one PostgreSQL and three mediators, while processes of
all of them are killed and stopped, the database is restarted and every kind of connection is hurt at random. Looks whether every
accepted execution ends, every outcome is true, every watcher sees the same events without a gap, the store says what callers and
nodes say, and nothing stays behind. Stops after N minutes (default 1, if --runs is not given either) or N runs, and at the first
problem. The seed decides what is run and what is hurt; without one it is chosen and said. Needs root, openssh-server and postgresql.
Ends with 0 when nothing was wrong, 1 when something was, 2 for a wrong command line.
`;
const MINUTES_DEFAULT = 1;
const MS_A_MINUTE = 60_000;
const SEED_MAX = 2 ** 31;

const say = (text: string): void => void process.stderr.write(`${text}\n`);

function parse(): { seed: number; runsMax: number; msMax: number } | undefined {
  try {
    const { values } = parseArgs({
      options: { minutes: { type: 'string' }, runs: { type: 'string' }, seed: { type: 'string' } },
    });
    const number = (text: string | undefined, otherwise: number): number => {
      if (text === undefined) return otherwise;
      if (!/^\d+(\.\d+)?$/.test(text)) throw new Error(`${JSON.stringify(text)} is not a number.`);
      return Number(text);
    };
    const minutes = number(values.minutes, values.runs === undefined ? MINUTES_DEFAULT : Infinity);
    return {
      seed: number(values.seed, randomInt(SEED_MAX)),
      runsMax: number(values.runs, Infinity),
      msMax: minutes * MS_A_MINUTE,
    };
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

async function main(): Promise<number> {
  const limits = parse();
  if (limits === undefined) {
    say(USAGE);
    return 2;
  }
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  say(`seed ${limits.seed}`);
  const { problems, ...figures } = await runStorm({
    ...limits,
    weather: SILENT_WEATHER,
    say,
    signal: stop.signal,
  });
  process.stdout.write(
    `${JSON.stringify({ seed: limits.seed, problems: problems.length, ...figures }, null, 2)}\n`,
  );
  return problems.length === 0 ? 0 : 1;
}

process.exitCode = await main();
