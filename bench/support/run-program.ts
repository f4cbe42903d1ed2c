import { spawn } from 'node:child_process';

/** A program to run to its end. */
export interface Program {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** What it reads on stdin; nothing when absent. */
  readonly input?: Buffer;
}

const STDERR_SHOWN_MAX = 2_000;

/** Runs a program and resolves with what it printed on stdout; rejects, with its stderr, unless it ends with 0. */
export function runProgram({ file, args, env, input }: Program): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], env });
    const stdout: Buffer[] = [];
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', reject);
    // A program may end without reading all of its input; its exit code says whether that was right.
    child.stdin.on('error', () => undefined);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(Buffer.concat(stdout).toString());
      else reject(new Error(`${file} ended with ${code ?? signal}: ${stderr.slice(-STDERR_SHOWN_MAX)}`));
    });
    child.stdin.end(input);
  });
}
