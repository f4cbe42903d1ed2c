import { once } from 'node:events';
import { EXIT_CODE, RuneError } from '../../shared/errors.js';
import type { UpOptions } from '../commands/up.js';
import type { Io } from '../io.js';
import { escapeText } from '../render/escape-text.js';
import { reportError } from '../report-error.js';
import { startServices } from './start-services.js';

/** Levels of the services' log lines that a person has to see. */
const SHOWN = new Set(['warn', 'error']);

/** A log line for people: warnings and errors, or everything. What is no log line tells why a process dies. */
function shownLine(name: string, line: string, show: { all: boolean; bare: boolean }): string | undefined {
  if (show.all) return `${name} | ${escapeText(line)}`;
  try {
    const { level, message } = JSON.parse(line) as { level?: unknown; message?: unknown };
    return SHOWN.has(String(level))
      ? `${name} | ${String(level)}: ${escapeText(String(message))}`
      : undefined;
  } catch {
    return show.bare ? `${name} | ${escapeText(line)}` : undefined;
  }
}

function howToUse(address: string, isDefault: boolean, node: string): string {
  const server = isDefault ? '' : ` --server ${address}`;
  return [
    `LOM listens on ${address} (loopback, no TLS); LMM runs beside it.`,
    '',
    `  rune nodes${server}`,
    `  rune run host-facts --node ${node}${server}`,
    ...(isDefault ? [] : [`  export RUNE_SERVER=${address}    to leave --server out`]),
    '',
    'Ctrl-C stops both.',
    '',
  ].join('\n');
}

/** `rune up`: answers the exit code, 0 after Ctrl-C or SIGTERM, 2 if the services refuse what they were given, 5 if one ended by itself. */
export async function keepUp(options: UpOptions, io: Io, defaultAddress: string): Promise<number> {
  const { interrupts, stderr, env } = io;
  // Until then the error that is thrown brings the last lines along.
  let started = false;
  try {
    const services = await startServices({
      ...options,
      env,
      signal: interrupts.first,
      onLine(name, line) {
        const text = shownLine(name, line, { all: options.verbose, bare: started });
        if (text !== undefined) void stderr.write(`${text}\n`);
      },
    });
    started = true;
    try {
      await stderr.write(
        howToUse(
          services.address,
          services.address === defaultAddress,
          options.inventories.length === 0 ? 'localhost' : 'NODE',
        ),
      );
      const interrupted = interrupts.first.aborted ? Promise.resolve() : once(interrupts.first, 'abort');
      const failed = await Promise.race([interrupted.then(() => undefined), services.failed]);
      if (failed !== undefined) {
        throw new RuneError('SERVICE_UNREACHABLE', `${failed.name} ${await failed.exited}.`, {
          stderrTail: failed.lastLines().join('\n'),
        });
      }
      await stderr.write('stopping\n');
      return EXIT_CODE.SUCCEEDED;
    } finally {
      await services.stop();
    }
  } catch (error) {
    return reportError(io, error, 'pretty');
  }
}
