import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.js';

/** The installed command, as a script for node. */
export const RUNE = fileURLToPath(new URL('../../bin/rune.cjs', import.meta.url));

/** A real `rune` process. */
export interface RuneProcess {
  readonly child: ChildProcess;
  out(): string;
  err(): string;
  /** Resolves once standard error holds the text. */
  says(text: string): Promise<void>;
  readonly exited: Promise<number | string>;
}

/** Starts `rune` with no configuration but what the test gives. */
export function spawnRune(
  args: readonly string[],
  options: { env?: Record<string, string>; stdin?: string } = {},
): RuneProcess {
  return watch(
    spawn(process.execPath, [RUNE, ...args], {
      env: environment(options.env),
      stdio: ['pipe', 'pipe', 'pipe'],
    }),
    options.stdin,
  );
}

/** Starts `rune` on a terminal of its own; both its outputs arrive as one. `script` is part of every Debian. */
export function spawnRuneOnTerminal(
  args: readonly string[],
  options: { env?: Record<string, string> } = {},
): RuneProcess {
  const quoted = [process.execPath, RUNE, ...args]
    .map((word) => `'${word.replaceAll("'", `'\\''`)}'`)
    .join(' ');
  const child = spawn('/usr/bin/script', ['--quiet', '--return', '--command', quoted, '/dev/null'], {
    env: environment({ TERM: 'xterm', ...options.env }),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  return watch(child);
}

function environment(own: Record<string, string> = {}): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', XDG_CONFIG_HOME: '/nonexistent', ...own };
}

function watch(child: ChildProcess, stdin?: string): RuneProcess {
  const written = { out: '', err: '' };
  child.stdout?.on('data', (chunk: Buffer) => (written.out += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (written.err += chunk.toString()));
  if (stdin !== undefined) child.stdin?.end(stdin);
  const exited = new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
  return {
    child,
    out: () => written.out,
    err: () => written.err,
    says: async (text) => {
      await eventually(() => written.err.includes(text) || written.out.includes(text), {
        label: `rune says ${text}`,
      });
    },
    exited,
  };
}
