import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A process that writes to a store; see store-writer. */
export interface StoreProcess {
  readonly pid: number;
  /** What it has printed: the id of its execution first. */
  readonly lines: readonly string[];
  /** Ends it as nothing can be prepared for. */
  kill(): Promise<void>;
}

/** Starts one on this store; `shell` is what stands before it, such as limits. */
export function startStoreProcess(location: string, shell = ''): StoreProcess {
  const writer = fileURLToPath(new URL('./store-writer.js', import.meta.url));
  const child = spawn('bash', ['-c', `${shell} exec "$@"`, 'bash', process.execPath, writer, location], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => void lines.push(line));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    pid: child.pid ?? 0,
    lines,
    kill() {
      child.kill('SIGKILL');
      return ended;
    },
  };
}
