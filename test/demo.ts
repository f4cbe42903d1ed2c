import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { EXIT_CODE } from '../services/shared/errors.js';
import { packageRoot } from '../services/shared/process/package-root.js';
import { startServicePair } from './support/service-pair.js';
import { startSshd, type TestSshd } from './support/sshd.js';
import { sshNode } from './support/world.js';

const run = promisify(execFile);
const say = (text: string): void => void process.stdout.write(`${text}\n`);

/** Shows a command as a person would type it, runs the real binary, and resolves with its exit code. */
async function rune(server: string, args: readonly string[], signal: AbortSignal): Promise<number> {
  signal.throwIfAborted();
  say(`\n$ rune ${args.join(' ')}`);
  const main = join(packageRoot, 'dist', 'services', 'cli', 'main.js');
  const child = spawn(process.execPath, [main, ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, RUNE_SERVER: server },
  });
  // Ctrl-C at a terminal reaches it as well; a signal to the demo alone does not.
  const stop = () => child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** A throw-away sshd, or why there is none. */
async function trySshd(): Promise<TestSshd | string> {
  if (process.getuid?.() !== 0) return 'a throw-away sshd needs root';
  try {
    await run('sh', [
      join(packageRoot, 'test', 'install-requirements.sh'),
      'openssh-server',
      'openssh-client',
    ]);
    return await startSshd({ rootOnly: true });
  } catch (error) {
    return error instanceof Error ? error.message.split('\n', 1).join('') : String(error);
  }
}

async function demo(signal: AbortSignal): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'rune-demo-'));
  const sshd = await trySshd();
  const overSsh = typeof sshd !== 'string';
  try {
    signal.throwIfAborted();
    say(overSsh ? `A throw-away sshd listens on ${sshd.host}:${sshd.port}.` : `No sshd: ${sshd}.`);
    const { lom, lmm } = await startServicePair({
      directory,
      nodes: {
        demo: overSsh ? sshNode(sshd, sshd.users.root) : { address: 'localhost', transport: 'local' },
      },
      plugins: [join(packageRoot, 'plugins')],
      lmm: overSsh
        ? { known_hosts: [], credentials: { default: { key_files: [sshd.userKeyPath] } } }
        : { local_enabled: true },
    });
    try {
      say(`LMM runs as process ${lmm.pid} on ${lmm.address}, LOM as process ${lom.pid} on ${lom.address}.`);
      const codes = [
        await rune(
          lom.address,
          ['run', 'noop', '--node', 'demo', '--param', 'message=hello', '--output', 'ndjson'],
          signal,
        ),
        await rune(lom.address, ['run', 'host-facts', '--node', 'demo'], signal),
      ];
      return codes.find((code) => code !== 0) ?? 0;
    } finally {
      await lom.stop();
      await lmm.stop();
    }
  } finally {
    if (overSsh) await sshd.stop();
    await rm(directory, { recursive: true, force: true });
    say(
      overSsh ? '\nThe demo ran over ssh.' : `\nThe demo ran by the local transport, not over ssh: ${sshd}.`,
    );
  }
}

// What was started and made must go again after Ctrl-C too, so the first signal only ends the waiting.
const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => interrupted.abort());
try {
  process.exitCode = await demo(interrupted.signal);
} catch (error) {
  if (!interrupted.signal.aborted) throw error;
}
if (interrupted.signal.aborted) process.exitCode = EXIT_CODE.CANCELLED;
