import { spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';

/** An ssh-agent, and how it ends. */
export interface TestAgent {
  readonly socketPath: string;
  stop(): Promise<void>;
}

/** Starts a real ssh-agent on `socketPath`; it holds no key. */
export async function startAgent(socketPath: string): Promise<TestAgent> {
  const child = spawn('/usr/bin/ssh-agent', ['-D', '-a', socketPath], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
  return {
    socketPath,
    async stop() {
      child.kill('SIGKILL');
      await exited;
      await rm(socketPath, { force: true });
    },
  };
}
