import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { RuneError } from '../../shared/errors.js';
import { packageRoot } from '../../shared/process/package-root.js';

const READY_TIMEOUT_MS = 20_000;
/** After being asked to stop; longer than the services' own grace. */
const STOP_TIMEOUT_MS = 15_000;
/** More than the faults that a service names at once. */
const LINES_KEPT_MAX = 100;
const LINE_CHARS_MAX = 2_000;

/** A service as a process of its own. */
export interface LocalService {
  readonly name: string;
  readonly address: string;
  /** Settles when the process has ended, with how. */
  readonly exited: Promise<string>;
  /** The last lines of its log. */
  lastLines(): readonly string[];
  /** Asks it to stop in good order, and kills it if it does not. Resolves when it is gone. */
  stop(): Promise<void>;
}

/** What `startService` needs. */
export interface ServiceStart {
  readonly name: 'lom' | 'lmm';
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Its configuration file; its variables win over it. */
  readonly config?: string;
  /** Gives up waiting, and stops the process. */
  readonly signal: AbortSignal;
  onLine?(name: string, line: string): void;
}

function boundAddress(line: string): string | undefined {
  try {
    const { message, address } = JSON.parse(line) as { message?: unknown; address?: unknown };
    return message === 'listening' && typeof address === 'string' ? address : undefined;
  } catch {
    return undefined; // Not a log line, so not the one that is waited for.
  }
}

/** How a service explains that its configuration has faults, and the faults where there are several. */
const DID_NOT_START = /^rune-\w+ did not start: CONFIGURATION_INVALID: (.*)$/;
const FAULT = /^ {2}(.+?): (.*)$/;

/** The service's own explanation of a faulty configuration as an error, or undefined if it gave none. */
export function configurationFault(lines: readonly string[]): RuneError | undefined {
  const at = lines.findLastIndex((line) => DID_NOT_START.test(line));
  const message = DID_NOT_START.exec(lines[at] ?? '')?.[1];
  if (message === undefined) return undefined;
  const validationErrors = lines.slice(at + 1).flatMap((line) => {
    const [, field, description] = FAULT.exec(line) ?? [];
    return field === undefined || description === undefined ? [] : [{ field, description, reason: '' }];
  });
  return new RuneError('CONFIGURATION_INVALID', message, { validationErrors });
}

const interrupted = () => new RuneError('CALL_CANCELLED', 'Interrupted while the services were starting.');

/**
 * Starts one service and waits until it listens. Throws CONFIGURATION_INVALID with what the service finds wrong in its
 * configuration, and SERVICE_UNREACHABLE with its last lines if it does not listen for another reason.
 */
export async function startService({
  name,
  env,
  config,
  signal,
  onLine,
}: ServiceStart): Promise<LocalService> {
  if (signal.aborted) throw interrupted();
  const main = join(packageRoot, 'dist/services', name, 'main.js');
  const guard = pathToFileURL(join(packageRoot, 'dist/services/cli/local-services/stop-with-parent.js')).href;
  const options = config === undefined ? [] : ['--config', config];
  const child = spawn(process.execPath, ['--import', guard, main, ...options], {
    env: { ...env },
    stdio: ['pipe', 'ignore', 'pipe'],
    // Out of the terminal's process group: Ctrl-C is for the command line, which stops the services in order.
    detached: true,
  });
  const lines: string[] = [];
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`could not be started: ${error.message}`));
    child.once('exit', (code, killedBy) =>
      resolve(killedBy === null ? `ended with exit code ${code}` : `was killed by ${killedBy}`),
    );
  });
  // The pipe breaks when the service ends first; `exited` tells that.
  child.stdin.on('error', () => undefined);

  const stop = async () => {
    // The guard in the child turns this into SIGTERM; a signal of ours would count as the second, which forces.
    child.stdin.end();
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
  };
  const failed = (why: string) =>
    configurationFault(lines) ??
    new RuneError('SERVICE_UNREACHABLE', `rune-${name} ${why}.`, { stderrTail: lines.join('\n') });

  let readyTimer: NodeJS.Timeout | undefined;
  const ready = new Promise<string>((resolve, reject) => {
    const reader = createInterface({ input: child.stderr });
    reader.on('line', (line) => {
      lines.push(line.slice(0, LINE_CHARS_MAX));
      if (lines.length > LINES_KEPT_MAX) lines.shift();
      onLine?.(name, line);
      const address = boundAddress(line);
      if (address !== undefined) resolve(address);
    });
    // Its last words may arrive after its end.
    void Promise.all([exited, once(reader, 'close')]).then(([how]) => reject(failed(how)));
    readyTimer = setTimeout(
      () => reject(failed(`did not listen within ${READY_TIMEOUT_MS / 1000} s`)),
      READY_TIMEOUT_MS,
    );
    signal.addEventListener('abort', () => reject(interrupted()), { once: true });
  });
  try {
    const address = await ready;
    return { name: `rune-${name}`, address, exited, lastLines: () => lines, stop };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    clearTimeout(readyTimer);
  }
}
