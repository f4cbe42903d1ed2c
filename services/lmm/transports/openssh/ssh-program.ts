import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { sshEnvironment, type Env } from './ssh-environment.js';

/** The system's ssh. */
export interface SshProgram {
  /** As it is started: a path, or a name that is looked for in PATH. */
  readonly path: string;
  /** Such as "OpenSSH_9.2p1", for messages. */
  readonly version: string;
  /** Whether it can ask a command for host keys, which is how pinned fingerprints are checked. */
  readonly checksPins: boolean;
}

/** The program, or a clause that says why there is none. */
export type FoundSsh = { readonly program: SshProgram } | { readonly reason: string };

/** How long the program may take to say its version. */
const VERSION_TIMEOUT_MS = 5_000;
/** The first version that takes lists of algorithms to leave out, and that has IdentityAgent. */
const OLDEST = [7, 6] as const;
/** The first version with KnownHostsCommand. */
const CHECKS_PINS = [8, 5] as const;

/** Asks the program for its version. Never rejects. */
export async function findSsh(path: string, env: Env): Promise<FoundSsh> {
  let said: string;
  try {
    const options = { env: sshEnvironment(env), timeout: VERSION_TIMEOUT_MS, cwd: '/' };
    said = (await promisify(execFile)(path, ['-V'], options)).stderr;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    return { reason: `${path} cannot be started (${code})` };
  }
  const [version, major, minor] = /^OpenSSH_(\d+)\.(\d+)\w*/.exec(said) ?? [];
  if (version === undefined) return { reason: `${path} is not the ssh of OpenSSH` };
  const isAtLeast = ([wantedMajor, wantedMinor]: readonly [number, number]): boolean =>
    Number(major) > wantedMajor || (Number(major) === wantedMajor && Number(minor) >= wantedMinor);
  if (!isAtLeast(OLDEST))
    return { reason: `${path} is ${version}, and at least ${OLDEST.join('.')} is needed` };
  return { program: { path, version, checksPins: isAtLeast(CHECKS_PINS) } };
}
