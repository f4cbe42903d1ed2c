import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RuneError } from '../../../shared/errors.js';
import { settledWithin } from '../../../shared/settled-within.js';
import { sshEnvironment, type Env } from './ssh-environment.js';
import type { SshProgram } from './ssh-program.js';

/** Files that say which host key one host may have. */
export interface HostFiles {
  /** The known_hosts file of this one host. */
  readonly knownHosts: string;
  /** The fingerprints that are pinned, one on each line; undefined for none. */
  readonly pins: string | undefined;
  /** Shell script that prints a known_hosts line for a key whose fingerprint is in such a file. */
  readonly pinCheck: string;
}

/** What stands in the files of one host. */
export interface HostTexts {
  readonly knownHosts: string;
  readonly pins: readonly string[];
}

/** Paths of one master, in a directory that only this user can enter. */
export interface MasterFiles {
  /** The control socket; made by the master. */
  readonly socket: string;
  /** In the order in which the hosts were given. */
  readonly hosts: readonly HostFiles[];
  /** Writes an ssh_config file and answers its path. */
  writeConfig(text: string): Promise<string>;
  /** Removes socket and files. Never rejects. */
  remove(): Promise<void>;
}

/** A private directory for control sockets, which goes away with this process even if the process is killed. */
export interface Workspace {
  /** Rejects with TRANSPORT_NOT_AVAILABLE if nothing can be written. */
  filesFor(hosts: readonly HostTexts[]): Promise<MasterFiles>;
  /** Ends what is left of the masters and removes the directory. */
  close(): Promise<void>;
}

export interface WorkspaceOptions {
  readonly program: SshProgram;
  /** Where the directory is made. */
  readonly base: string;
  readonly env: Env;
}

/** Bytes of a socket's path on every system, less the 17 that ssh adds while it makes the socket. */
const SOCKET_BYTES_MAX = 103 - 17;
/** ssh splits and expands paths in its options; these signs have no meaning there. */
const PLAIN_PATH = /^[0-9A-Za-z/._-]+$/;
const CLOSE_TIMEOUT_MS = 10_000;

const PIN_CHECK = `while read -r pin; do [ "$pin" = "$2" ] && echo "* $3 $4"; done <"$1"; exit 0\n`;

/** Waits until its input ends, which is the end of this process or its wish, and then ends every master. */
const KEEPER = [
  `trap '' HUP INT QUIT TERM`,
  'while read -r _; do :; done',
  'asked=',
  'for socket in "$1"/*.s; do',
  '  [ -S "$socket" ] || continue',
  '  "$2" -F none -S "$socket" -O exit -- rune &',
  '  asked="$asked $!"',
  'done',
  'if [ -n "$asked" ]; then',
  '  (sleep 5; kill -KILL $asked) & limit=$!',
  '  wait $asked',
  '  kill -KILL "$limit"',
  'fi',
  'rm -rf -- "$1"',
].join('\n');

interface Keeper {
  readonly process: ChildProcess;
  readonly ended: Promise<void>;
}

interface Space {
  readonly directory: string;
  keeper: Keeper;
}

/** Makes a workspace; its directory is made when it is first needed. */
export function createWorkspace({ program, base, env }: WorkspaceOptions): Workspace {
  let space: Promise<Space> | undefined;
  let names = 0;

  const startKeeper = (directory: string): Keeper => {
    const process = spawn('/bin/sh', ['-c', KEEPER, 'rune-keeper', directory, program.path], {
      cwd: '/',
      detached: true,
      env: sshEnvironment(env),
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const ended = new Promise<void>((resolve) => {
      process.once('error', () => resolve());
      process.once('exit', () => resolve());
    });
    // Nothing is ever written: an error here only says that the keeper is gone.
    process.stdin?.on('error', () => undefined);
    return { process, ended };
  };

  const make = async (): Promise<Space> => {
    const directory = await mkdtemp(join(base, 'rune-'));
    try {
      if (!PLAIN_PATH.test(directory))
        throw new Error(`${directory} holds other signs than letters, digits, ".", "_" and "-"`);
      if (Buffer.byteLength(socketIn(directory, Number.MAX_SAFE_INTEGER)) > SOCKET_BYTES_MAX)
        throw new Error(`${directory} is too long for sockets in it`);
      await writeFile(join(directory, 'pin-check'), PIN_CHECK, { mode: 0o600 });
      return { directory, keeper: startKeeper(directory) };
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  };

  /** The space with a keeper that lives, or another space if something has removed it: temporary directories are swept. */
  const current = async (): Promise<Space> => {
    const known = space;
    const found = await known;
    const isThere = found !== undefined && (await isOwn(found.directory));
    // Somebody else may have been here in the meantime.
    if (space !== known) return current();
    if (isThere) {
      if (isEnded(found.keeper)) found.keeper = startKeeper(found.directory);
      return found;
    }
    found?.keeper.process.stdin?.end();
    const next = make();
    space = next;
    next.catch(() => {
      if (space === next) space = undefined;
    });
    return next;
  };

  return {
    async filesFor(hosts) {
      try {
        const { directory } = await current();
        names += 1;
        const socket = socketIn(directory, names);
        const path = join(directory, String(names));
        const written: string[] = [];
        const write = async (file: string, text: string): Promise<string> => {
          written.push(file);
          await writeFile(file, text, { mode: 0o600 });
          return file;
        };
        return {
          socket,
          hosts: await Promise.all(
            hosts.map(async ({ knownHosts, pins }, index) => ({
              knownHosts: await write(`${path}-${index}.k`, knownHosts),
              pins: pins.length > 0 ? await write(`${path}-${index}.p`, pinLines(pins)) : undefined,
              pinCheck: join(directory, 'pin-check'),
            })),
          ),
          writeConfig: (text) => write(`${path}.c`, text),
          async remove() {
            const all = [...written, socket];
            await Promise.all(all.map((file) => rm(file, { force: true }).catch(() => undefined)));
          },
        };
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        const message = `The transport openssh has no directory for its sockets under ${base}: ${why}. TMPDIR of the mediator names another one.`;
        throw new RuneError('TRANSPORT_NOT_AVAILABLE', message, {}, { cause: error });
      }
    },
    async close() {
      const made = await space?.catch(() => undefined);
      if (made === undefined) return;
      const { directory, keeper } = made;
      keeper.process.stdin?.end();
      if (!(await settledWithin(keeper.ended, CLOSE_TIMEOUT_MS))) keeper.process.kill('SIGKILL');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

const socketIn = (directory: string, number: number): string => join(directory, `${number}.s`);

const pinLines = (pins: readonly string[]): string =>
  pins.map((pin) => `${pin.replace(/=+$/, '')}\n`).join('');

const isEnded = ({ process }: Keeper): boolean =>
  process.pid === undefined || process.exitCode !== null || process.signalCode !== null;

async function isOwn(directory: string): Promise<boolean> {
  try {
    const found = await stat(directory);
    return found.isDirectory() && found.uid === process.getuid?.();
  } catch {
    return false; // It is gone.
  }
}
