import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { sentLibrary } from '../../services/lmm/transports/sent-library.js';
import { packageRoot } from '../../services/shared/process/package-root.js';

/** The bash that plugins and nodes are tested with: RUNE_TEST_BASH=/path, else the one on PATH. */
export const testBash = process.env['RUNE_TEST_BASH'] ?? 'bash';

/** PATH on a node: that of Debian, behind the folder of the bash under test where one was chosen. */
export const nodePath = [
  ...(testBash === 'bash' ? [] : [dirname(testBash)]),
  '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
].join(':');

/** Text of the shell library, as it is sent before a plugin. */
export const shellLibrary = readFileSync(join(packageRoot, 'plugins', 'lib', 'rune_bpcs.sh'), 'utf8');

/** How a process ended and what it printed. */
export interface BashEnding {
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What differs from a plugin that reads nothing in the C.UTF-8 locale. */
export interface BashChanges {
  readonly input?: string | Buffer;
  readonly environment?: Readonly<Record<string, string>>;
  /** Runs as this user; needs root. */
  readonly uid?: number;
}

/**
 * Runs the library, helper scripts and the script in one fresh bash that has none on disk, as `stream` delivery does: the second
 * part of the library is parsed when it is needed.
 */
export function runWithLibrary(
  script: string,
  changes: BashChanges = {},
  helpers: readonly string[] = [],
): Promise<BashEnding> {
  const { first, rest } = sentLibrary(Buffer.from(shellLibrary));
  const library = [first.toString(), ...helpers].join('\n');
  return runBash(['-c', 'eval "$RUNE_LIBRARY"; unset RUNE_LIBRARY; eval "$RUNE_SCRIPT"', 'plugin.sh'], {
    ...changes,
    environment: {
      RUNE_LIBRARY: library,
      __rune_rest: rest.toString(),
      RUNE_SCRIPT: script,
      ...changes.environment,
    },
  });
}

/** Runs the bash under test with these arguments, without start-up files and with little in its environment. */
export function runBash(args: readonly string[], changes: BashChanges = {}): Promise<BashEnding> {
  const child = spawn(testBash, ['--noprofile', '--norc', ...args], {
    ...(changes.uid === undefined ? {} : { uid: changes.uid, cwd: '/' }),
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C.UTF-8', ...changes.environment },
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A script may end before it has read its input.
  child.stdin.on('error', () => undefined);
  child.stdin.end(changes.input ?? '');
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode, signal) => {
      resolve({
        stdout: Buffer.concat(stdout),
        stderr: Buffer.concat(stderr).toString(),
        exitCode,
        signal,
      });
    });
  });
}
