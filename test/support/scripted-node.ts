import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, cp, mkdir, readdir, readFile, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { findProcesses } from './processes.js';
import { makeTempDirectory } from './temp-directory.js';

/** What `systemctl show` prints of a unit. */
export type UnitProperties = Readonly<Record<string, string>>;

/** A directory with scripted systemctl, journalctl, docker, nomad and sudo, the state that they keep, and a log of their calls. */
export interface ScriptedNode {
  readonly path: string;
  /** A PATH with the scripted commands and with what they and a plugin need of coreutils, and nothing else. */
  readonly commandPath: string;
  /** Defines a unit: what it is now, and what it is each time that systemctl is asked after a restart; the last stays. */
  unit(name: string, now: UnitProperties, ...afterRestart: readonly UnitProperties[]): Promise<void>;
  /** Writes files below the state directory. */
  state(files: Readonly<Record<string, string>>): Promise<void>;
  /** Lets a command hang: `systemctl-restart`, `docker`, `sudo`, …. */
  hang(command: string): Promise<void>;
  /** Every call so far: the command and its arguments. */
  calls(): Promise<string[][]>;
  /** The same without the looks at a unit, which come as often as it takes. */
  callsButLooks(): Promise<string[][]>;
  /** A digest of every name, mode and byte below the state directory. */
  stateDigest(): Promise<string>;
  /** Ends what still runs and removes the directory. */
  remove(): Promise<void>;
}

const TOOLS = ['bash', 'cat', 'cp', 'dirname', 'env', 'id', 'setsid', 'sleep', 'tail', 'timeout'];

/** Makes a node with only these commands, all of them by default; any user may change its state. */
export async function makeScriptedNode(
  commands: readonly string[] = ['systemctl', 'journalctl', 'docker', 'nomad', 'sudo'],
): Promise<ScriptedNode> {
  const directory = await makeTempDirectory();
  const bin = join(directory.path, 'bin');
  await mkdir(bin);
  for (const command of commands) {
    await cp(join(packageRoot, 'test', 'fixtures', 'commands', command), join(bin, command));
    await chmod(join(bin, command), 0o755);
  }
  const tools = join(directory.path, 'tools');
  await mkdir(tools);
  for (const tool of TOOLS) {
    const where = execFileSync('sh', ['-c', 'command -v -- "$1"', 'sh', tool], { encoding: 'utf8' }).trim();
    await symlink(where, join(tools, tool));
  }
  const write = async (files: Readonly<Record<string, string>>): Promise<void> => {
    await directory.write(files);
    await chmod(directory.path, 0o755);
    await chmod(join(directory.path, 'calls'), 0o666);
    await openUp(join(directory.path, 'state'));
  };
  const state = (files: Readonly<Record<string, string>>): Promise<void> =>
    write(Object.fromEntries(Object.entries(files).map(([name, text]) => [`state/${name}`, text])));
  const calls = async (): Promise<string[][]> => {
    const text = await readFile(join(directory.path, 'calls'), 'utf8');
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split('\x1f').slice(0, -1));
  };
  await write({ calls: '', 'state/hangs/.keep': '', 'state/sudoers': '' });
  return {
    path: directory.path,
    commandPath: `${bin}:${tools}`,
    unit(name, ...scenes) {
      const files: Record<string, string> = { [`units/${name}/scene`]: '0\n' };
      for (const [index, scene] of scenes.entries()) files[`units/${name}/${index}`] = propertyLines(scene);
      return state(files);
    },
    state,
    hang: (command) => state({ [`hangs/${command}`]: '' }),
    calls,
    callsButLooks: async () =>
      (await calls()).filter(([command, verb]) => command !== 'systemctl' || verb !== 'show'),
    async stateDigest() {
      const root = join(directory.path, 'state');
      const digest = createHash('sha256');
      for (const name of (await readdir(root, { recursive: true })).toSorted()) {
        const file = await stat(join(root, name));
        digest.update(`${name}\0${file.mode}\0${file.mtimeMs}\0`);
        if (file.isFile()) digest.update(await readFile(join(root, name)));
      }
      return digest.digest('hex');
    },
    async remove() {
      // A command that hangs may have been left alone, as a plugin must leave what another user runs.
      for (const pid of findProcesses(directory.path)) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It ended meanwhile.
        }
      }
      await directory.remove();
    },
  };
}

const propertyLines = (properties: UnitProperties): string =>
  Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');

async function openUp(directory: string): Promise<void> {
  await chmod(directory, 0o777);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await openUp(join(directory, entry.name));
    else await chmod(join(directory, entry.name), 0o666);
  }
}
