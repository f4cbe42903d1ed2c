import type { Writable } from 'node:stream';
import { parseArgs } from 'node:util';
import { readSettings } from '../../shared/settings/config.js';
import { RuneError } from '../../shared/errors.js';
import { createLogger } from '../../shared/logging/logger.js';
import type { SettingsOf, SettingsSpec } from '../../shared/settings/settings.js';
import { checkStore } from './check-store.js';
import type { StoreReport } from './check-store.js';
import { exportStore } from './export-store.js';
import { readStore } from './read-store.js';
import type { STORE_SETTINGS } from './store-settings.js';

const USAGE = `Usage: rune-lom store check|export [--config FILE]

  check   looks at every execution for what contradicts itself; exits with 1 if there is something
  export  writes every execution with its runs and events to standard output, one JSON object a line

Both read the store that the configuration names, also while rune-lom is running (docs/store.md).
`;

/** What an operator's command is given. */
export interface StoreInvocation {
  /** Without the word "store". */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: Writable;
  readonly stderr: Writable;
}

/** `rune-lom store …` with the settings of the service. Resolves with the exit code: 1 for faults, 2 for a faulty command line. */
export async function storeCommand(
  spec: SettingsSpec & typeof STORE_SETTINGS,
  { argv, env, stdout, stderr }: StoreInvocation,
): Promise<number> {
  let command: string | undefined;
  let config: string | undefined;
  try {
    const options = { config: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const;
    const { positionals, values } = parseArgs({ args: [...argv], options, allowPositionals: true });
    if (values.help === true) {
      await write(stdout, USAGE);
      return 0;
    }
    command = positionals.length === 1 ? positionals[0] : undefined;
    config = values.config;
    if (command !== 'check' && command !== 'export') throw new Error('say check or export');
  } catch (thrown) {
    await write(
      stderr,
      `rune-lom store: ${thrown instanceof Error ? thrown.message : String(thrown)}\n${USAGE}`,
    );
    return 2;
  }
  // A reader that leaves ends the write that waits for it; without a listener it would end the process with a stack.
  stdout.on('error', () => undefined);
  try {
    const sources = { prefix: 'LOM', env, ...(config === undefined ? {} : { file: config }) };
    const settings: SettingsOf<typeof STORE_SETTINGS> = readSettings(spec, sources);
    const logger = createLogger({ level: 'warn', service: 'rune-lom', stream: stderr });
    return await readStore(settings.store, settings, logger, async (snapshot) => {
      if (command === 'check') {
        const report = await checkStore(snapshot);
        await write(stdout, describe(snapshot.shown, report));
        return report.faults.length > 0 ? 1 : 0;
      }
      await exportStore(snapshot, (line) => write(stdout, line));
      return 0;
    });
  } catch (thrown) {
    const error = RuneError.from(thrown);
    const { cause } = error;
    // Such as `| head`: it has seen what it wanted.
    if (cause instanceof Error && (cause as NodeJS.ErrnoException).code === 'EPIPE') return 0;
    const faults = error.facts.validationErrors ?? [];
    const lines = [
      `rune-lom store: ${error.name}: ${error.message}`,
      ...faults.map(({ field, description }) => `  ${field}: ${description}`),
      ...(error.name === 'INTERNAL' && cause instanceof Error ? [String(cause.stack)] : []),
      ...error.row.recovery.map((text) => `What to do: ${text}`),
    ];
    await write(stderr, `${lines.join('\n')}\n`);
    return 1;
  }
}

function describe(
  shown: string,
  { executions, unfinished, runs, events, bytes, faults }: StoreReport,
): string {
  return [
    `store       ${shown}`,
    `executions  ${executions}, ${unfinished} of them unfinished`,
    `runs        ${runs}`,
    `events      ${events}, ${bytes} bytes`,
    ...faults.map(
      ({ executionId, what }) => `fault       ${executionId === '' ? '' : `${executionId}: `}${what}`,
    ),
    faults.length === 0 ? 'No fault found.' : `Faults: ${faults.length}.`,
    '',
  ].join('\n');
}

/** Settles when there is room for more; rejects when nobody reads any more. */
function write(stream: Writable, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => (error ? reject(error) : resolve()));
  });
}
