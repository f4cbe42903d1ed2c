import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { packageRoot } from '../../services/shared/process/package-root.js';

/** What hangs is told from what is slow: on a machine with 17 processes for each core, starting has taken more than 20 s. */
const READY_TIMEOUT_MS = 50_000;

/** One of the real service processes. */
export interface ServiceProcess {
  /** host:port on which it listens. */
  readonly address: string;
  readonly pid: number;
  /** Every line it has written to stderr. */
  readonly log: readonly string[];
  kill(signal: NodeJS.Signals): void;
  /** Settles with the exit code, or the signal's name. */
  readonly exited: Promise<number | string>;
  /** TERM, and the exit code. */
  stop(): Promise<number | string>;
}

/**
 * Starts rune-lom or rune-lmm with this configuration file and waits until it listens. `main` is the program if it is not the
 * service's own.
 */
export async function startService(
  name: 'lom' | 'lmm',
  configFile: string,
  env: NodeJS.ProcessEnv = {},
  main = join(packageRoot, 'dist', 'services', name, 'main.js'),
): Promise<ServiceProcess> {
  const child: ChildProcess = spawn(process.execPath, [main, '--config', configFile], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
  });
  const log: string[] = [];
  const exited = new Promise<number | string>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
  const address = await new Promise<string>((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`rune-${name} ${why}\n${log.join('\n')}`));
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fail(`did not listen within ${READY_TIMEOUT_MS} ms`);
    }, READY_TIMEOUT_MS);
    void exited.then((how) => {
      clearTimeout(timer);
      fail(`ended (${how}) before it listened`);
    });
    createInterface({ input: child.stderr as NonNullable<typeof child.stderr> }).on('line', (line) => {
      log.push(line);
      const found = /"message":"listening"/.test(line) ? /"address":"([^"]+)"/.exec(line)?.[1] : undefined;
      if (found === undefined) return;
      clearTimeout(timer);
      resolve(found);
    });
  });
  return {
    address,
    pid: child.pid as number,
    log,
    kill: (signal) => void child.kill(signal),
    exited,
    stop() {
      child.kill('SIGTERM');
      return exited;
    },
  };
}
