import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { RuneError } from '../../../shared/errors.js';

/** What an ssh is started with. */
export interface SshSpawn {
  readonly program: string;
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** The node's name, for messages. */
  readonly node: string;
}

/**
 * Starts an ssh that serves others: nothing goes in, and only its messages come out. Rejects with TRANSPORT_NOT_AVAILABLE if
 * the program is gone, and with MEDIATOR_FULL if this machine has no room for another process.
 */
export function spawnMaster(ssh: SshSpawn): Promise<ChildProcessByStdio<null, null, Readable>> {
  const child = spawn(ssh.program, ssh.argv, { ...optionsFor(ssh), stdio: ['ignore', 'ignore', 'pipe'] });
  return whenStarted(child, ssh);
}

/** Starts an ssh whose three streams are those of a command on a node. Rejects as `spawnMaster` does. */
export function spawnSession(ssh: SshSpawn): Promise<ChildProcessByStdio<Writable, Readable, Readable>> {
  const child = spawn(ssh.program, ssh.argv, { ...optionsFor(ssh), stdio: ['pipe', 'pipe', 'pipe'] });
  return whenStarted(child, ssh);
}

/** In a session of its own it has no terminal to ask questions on, and no interrupt reaches it that is meant for the mediator. */
const optionsFor = ({ environment }: SshSpawn) => ({ cwd: '/', detached: true, env: environment }) as const;

function whenStarted<Child extends ChildProcess>(child: Child, { program, node }: SshSpawn): Promise<Child> {
  return new Promise((resolve, reject) => {
    child.once('spawn', () => resolve(child));
    child.once('error', (error) => {
      const code = 'code' in error ? String(error.code) : 'unknown';
      const isMissing = code === 'ENOENT' || code === 'EACCES';
      const message = `This mediator cannot start ${program} for ${node} (${code}).`;
      const facts = { node };
      reject(
        new RuneError(isMissing ? 'TRANSPORT_NOT_AVAILABLE' : 'MEDIATOR_FULL', message, facts, {
          cause: error,
        }),
      );
    });
  });
}
