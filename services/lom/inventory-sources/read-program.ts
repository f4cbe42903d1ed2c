import { spawn } from 'node:child_process';
import type { FileReading } from '../../shared/files/source-file.js';
import { startOf } from '../../shared/bounded-text.js';
import type { ProgramSource } from './source-config.js';

const STDERR_BYTES_MAX = 500;
const ALWAYS = ['PATH', 'HOME', 'LANG'];

/** Runs the program and takes what it prints. It gets no input, and is killed with all it started when its time is over. */
export function readProgram(
  { command, variables }: ProgramSource,
  limits: { readonly timeoutMs: number; readonly bytesMax: number },
  env: Readonly<Record<string, string | undefined>>,
): Promise<FileReading> {
  const [path = '', ...args] = command;
  return new Promise((resolve) => {
    const child = spawn(path, args, {
      cwd: '/',
      // Of its own group, so that what it started ends with it.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: Object.fromEntries([...ALWAYS, ...variables].map((name) => [name, env[name]])),
    });
    const chunks: Buffer[] = [];
    let length = 0;
    let said = '';
    let refusal: string | undefined;
    const end = (why: string): void => {
      refusal ??= why;
      // Whoever left the group may hold the pipes open: they are not waited for.
      child.stdout.destroy();
      child.stderr.destroy();
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // All of it has ended by itself.
      }
    };
    const timer = setTimeout(() => end(`did not end within ${limits.timeoutMs / 1000} s`), limits.timeoutMs);
    child.stdout.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > limits.bytesMax) end(`printed more than ${limits.bytesMax} bytes`);
      else chunks.push(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => (said = startOf(said + chunk.toString(), STDERR_BYTES_MAX)));
    child.on('error', (error: NodeJS.ErrnoException) => {
      refusal ??= `cannot be started (${error.code ?? 'unknown fault'})`;
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const how = code === null ? `was ended by ${signal}` : `ended with ${code}`;
      if (refusal === undefined && code !== 0) refusal = `${how}${said === '' ? '' : `: ${oneLine(said)}`}`;
      resolve(refusal === undefined ? { bytes: Buffer.concat(chunks) } : { refusal });
    });
  });
}

function oneLine(text: string): string {
  return JSON.stringify(text.trim()).slice(1, -1);
}
