import { spawn } from 'node:child_process';

/** One execution of a script file. */
export interface RunningScript {
  /** SIGKILL to the script's own process group; nothing else is ended, and nothing is waited for any more. */
  kill(): void;
  readonly ended: Promise<ScriptEnd>;
}

/** `killed`: by this side. Code -1: a signal from elsewhere. */
export interface ScriptEnd {
  readonly kind: 'exited' | 'killed';
  readonly code: number;
  /** As the agent words it; empty for the exit code 0. */
  readonly error: string;
}

/** What a script is run with. */
export interface ScriptOptions {
  /** The script's file; its first line decides who reads it. */
  readonly file: string;
  readonly workingDirectory: string;
  readonly env: Readonly<Record<string, string>>;
  /** A file that every process of the script's keeps open, so that it can be found wherever it went. */
  readonly mark: string;
  readonly stdout: (chunk: Buffer) => void;
  readonly stderr: (chunk: Buffer) => void;
}

/** The descriptor that holds the mark open: one that scripts do not use themselves. */
export const MARK_DESCRIPTOR = 99;

// A group of its own in the session of its parent, as the agent makes it: detached would make a session as well.
const START = `open(M, "<", shift) or die; fcntl(M, 0, ${MARK_DESCRIPTOR}) or die; setpgrp; exec { "sh" } "sh", shift; die`;

/** Starts `sh FILE` as the agent does: own process group, stdin from /dev/null, waited for until nobody holds its output open. */
export function runScript(options: ScriptOptions): RunningScript {
  const child = spawn('perl', ['-e', START, options.mark, options.file], {
    cwd: options.workingDirectory,
    env: { ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.on('data', options.stdout);
  child.stderr.on('data', options.stderr);
  let isKilled = false;
  let isOver = false;
  let finish: (end: ScriptEnd) => void = () => undefined;
  const ended = new Promise<ScriptEnd>((resolve) => (finish = resolve));
  child.once('error', (error) => finish({ kind: 'exited', code: 1, error: error.message }));
  child.once('close', (code, signal) => {
    isOver = true;
    finish({
      kind: isKilled ? 'killed' : 'exited',
      code: code ?? -1,
      error: signal === null ? (code === 0 ? '' : `exit status ${code}`) : `signal: ${signal}`,
    });
  });
  return {
    ended,
    kill() {
      if (isKilled || isOver || child.pid === undefined) return;
      isKilled = true;
      for (const target of [-child.pid, child.pid]) {
        try {
          process.kill(target, 'SIGKILL');
        } catch {
          // It ended meanwhile, or has no group of its own yet.
        }
      }
      child.stdout.destroy();
      child.stderr.destroy();
      finish({ kind: 'killed', code: 137, error: 'signal: killed' });
    },
  };
}
