import { parseArgs } from 'node:util';
import { readSettings, settingsTable, unknownVariables } from '../settings/config.js';
import { RuneError } from '../errors.js';
import { createLogger } from '../logging/logger.js';
import type { Logger } from '../logging/logger.js';
import { letHeapGrow } from './let-heap-grow.js';
import { packageVersion } from './package-version.js';
import type { SettingsOf, SettingsSpec } from '../settings/settings.js';
import { SERVICE_SETTINGS } from '../settings/service-settings.js';
import type { ServiceSettings } from '../settings/service-settings.js';

/** A service that has started. */
export interface RunningService {
  /** Where it listens. */
  readonly address: string;
  /** Ends gracefully; see RpcServer.stop. */
  stop(graceMs: number): Promise<void>;
}

/** What a service is given besides its settings. */
export interface ServiceTools<Settings> {
  readonly logger: Logger;
  /** The variables of the process. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where settings were read from, for those that may change while the service runs; undefined for no file. */
  readonly configFile: string | undefined;
  /** The settings as file and variables are now. Throws CONFIGURATION_INVALID. */
  reread(): Settings;
  /** Calls `listener` at each SIGHUP, which ends a service that does not listen. */
  onHangup(listener: () => void): void;
}

/** A service as a program: what it is called, what it can be told, how it starts. */
export interface ServiceProgram<S extends SettingsSpec> {
  /** Such as "rune-lmm"; also `service` in its log lines. */
  readonly name: string;
  /** One line for --help. */
  readonly summary: string;
  /** Prefix of its variables, such as "LMM". */
  readonly prefix: string;
  /** Other ways to call it, for --help: each one line. */
  readonly commands?: readonly string[];
  /** Its own settings, beside SERVICE_SETTINGS. */
  readonly settings: S;
  /** What a stop may take on top of its grace before the process ends all the same; STOP_MARGIN_MS if not given. */
  readonly stopMarginMs?: (settings: SettingsOf<S> & ServiceSettings) => number;
  start(
    settings: SettingsOf<S> & ServiceSettings,
    tools: ServiceTools<SettingsOf<S> & ServiceSettings>,
  ): Promise<RunningService>;
}

/** For services that have nothing to end after their grace. */
const STOP_MARGIN_MS = 5_000;

/**
 * Runs a service for the life of the process. SIGTERM or SIGINT stop it gracefully (exit code 0), a second one at once (128 +
 * the signal's number). A start that fails prints one message and exits with 1. Logs are flushed before every exit.
 */
export async function runService<S extends SettingsSpec>(
  program: ServiceProgram<S>,
  invocation: { argv: readonly string[]; env: Readonly<Record<string, string | undefined>> },
): Promise<void> {
  const { stdout, stderr } = process;
  let options: Invocation;
  try {
    options = readInvocation(invocation.argv);
  } catch (thrown) {
    const said = thrown instanceof Error ? thrown.message : String(thrown);
    return exitAfter(stderr, `${program.name}: ${said}\nTry: ${program.name} --help\n`, 2);
  }
  if (options.help) return exitAfter(stdout, helpOf(program), 0);
  if (options.version) return exitAfter(stdout, `${program.name} ${packageVersion()}\n`, 0);

  letHeapGrow();
  let logger: Logger | undefined;
  try {
    // The compiler does not see that the values of two specs together are the values of both.
    const sources = {
      prefix: program.prefix,
      env: invocation.env,
      ...(options.config === undefined ? {} : { file: options.config }),
    };
    const read = (): SettingsOf<S> & ServiceSettings =>
      readSettings(allSettings(program.settings), sources) as SettingsOf<S> & ServiceSettings;
    const settings = read();
    logger = createLogger({ level: settings.logLevel, service: program.name, stream: stderr });
    for (const warning of unknownVariables(allSettings(program.settings), sources)) logger.warn(warning);
    watchFaults(logger);
    const stopMarginMs = program.stopMarginMs?.(settings) ?? STOP_MARGIN_MS;
    const stopping = watchSignals(logger, settings.shutdownGraceMs + stopMarginMs);
    const service = await program.start(settings, {
      logger,
      env: invocation.env,
      configFile: options.config,
      reread: read,
      onHangup: (listener) => void process.on('SIGHUP', listener),
    });
    logger.info('listening', { address: service.address, version: packageVersion(), pid: process.pid });
    const signal = await stopping;
    logger.info('stopping', { signal, graceMs: settings.shutdownGraceMs });
    await service.stop(settings.shutdownGraceMs);
    logger.info('stopped');
    await logger.flush();
    process.exit(0);
  } catch (thrown) {
    await logger?.flush();
    return exitAfter(stderr, describe(program.name, thrown), 1);
  }
}

/** Own settings of a service with those that every service has: what docs/configuration.md lists. */
export function allSettings(own: SettingsSpec): SettingsSpec {
  return { ...own, ...SERVICE_SETTINGS };
}

interface Invocation {
  readonly help: boolean;
  readonly version: boolean;
  readonly config: string | undefined;
}

function readInvocation(argv: readonly string[]): Invocation {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean' },
      config: { type: 'string' },
    },
  });
  return { help: values.help === true, version: values.version === true, config: values.config };
}

function helpOf(
  program: Pick<ServiceProgram<SettingsSpec>, 'name' | 'summary' | 'prefix' | 'settings' | 'commands'>,
): string {
  return [
    `${program.name}: ${program.summary}`,
    '',
    `Usage: ${program.name} [--config FILE] [--version] [--help]`,
    ...(program.commands ?? []).map((command) => `       ${program.name} ${command}`),
    '',
    'Settings (docs/configuration.md), as keys of the YAML file or as variables, which win:',
    '',
    settingsTable(allSettings(program.settings), program.prefix),
  ].join('\n');
}

/** Resolves with the first signal to stop; from then on the next one, or too long a stop, ends the process. */
function watchSignals(logger: Logger, stopMsMax: number): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let first = true;
    const onSignal = (signal: NodeJS.Signals, number: number): void => {
      if (first) {
        first = false;
        resolve(signal);
        setTimeout(() => leave(logger, 'the stop took too long', 1), stopMsMax).unref();
        return;
      }
      leave(logger, 'stopped at once by a second signal', 128 + number);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

function watchFaults(logger: Logger): void {
  const onFault = (kind: string) => (thrown: unknown) => {
    logger.error(kind, { err: thrown });
    leave(logger, 'the process ends because of an unexpected fault', 1);
  };
  process.on('uncaughtException', onFault('uncaught exception'));
  process.on('unhandledRejection', onFault('unhandled rejection'));
}

function leave(logger: Logger, message: string, code: number): void {
  logger.error(message, { code });
  void logger.flush().finally(() => process.exit(code));
}

function exitAfter(stream: NodeJS.WriteStream, text: string, code: number): void {
  process.exitCode = code;
  stream.write(text, () => process.exit(code));
}

/** What a person needs when a service does not start: what is wrong and what to do, no stack unless it is our fault. */
function describe(name: string, thrown: unknown): string {
  const error = RuneError.from(thrown);
  const faults = error.facts.validationErrors ?? [];
  const message = faults.length > 1 ? 'The configuration has these faults:' : error.message;
  const lines = [`${name} did not start: ${error.name}: ${message}`];
  if (faults.length > 1) lines.push(...faults.map(({ field, description }) => `  ${field}: ${description}`));
  if (error.name === 'INTERNAL' && error.cause instanceof Error)
    lines.push(error.cause.stack ?? error.cause.message);
  lines.push(...error.row.recovery.map((text) => `What to do: ${text}`), '');
  return lines.join('\n');
}
