import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { eventually } from './eventually.js';
import { makeTempDirectory } from './temp-directory.js';

const execute = promisify(execFile);
/** Exit code of the script where the kernel refuses such a machine. */
const REFUSED = 77;

/** A systemd that is the init of namespaces of its own, with this machine's programs and with processes that this machine sees. */
export interface SystemdMachine {
  /** The id of its init, as this machine has it. */
  readonly pid: number;
  /**
   * A shell that starts its commands over there as a login does: with a number, a session and a cgroup. The login is root's, or of the
   * user whose id is LOGIN_USER, and evaluates LOGIN_JOB before.
   */
  readonly loginShell: string;
  /** Runs a program over there and resolves with what it printed. Rejects if it fails. */
  run(program: string, ...words: readonly string[]): Promise<string>;
  /** Starts the manager of a user, by its id, as the first login of that user does. */
  startUserManager(id: number): Promise<void>;
  /** Ends it and all that runs over there. */
  stop(): Promise<void>;
}

/** Starts one with this layout of the cgroup tree. Resolves with the reason, in words, where this cannot be done. */
export async function startSystemdMachine(layout: 'unified' | 'hybrid'): Promise<SystemdMachine | string> {
  if (process.getuid?.() !== 0) return 'only root can start a systemd in namespaces of its own';
  const directory = await makeTempDirectory();
  const script = join(packageRoot, 'test/support/systemd-machine.sh');
  await directory.write({ 'root/.keep': '' });
  const keeper = spawn('bash', [script, layout, join(directory.path, 'root')]);
  const ended = once(keeper, 'exit');
  const complaint = text(keeper.stderr);
  const stop = async (): Promise<void> => {
    keeper.stdin.end();
    await ended;
    await directory.remove();
  };
  const first = await Promise.race([once(keeper.stdout, 'data'), ended.then(() => undefined)]);
  if (first === undefined) {
    await stop();
    const why = (await complaint).trim().replaceAll('\n', '; ');
    if (keeper.exitCode === REFUSED) return why;
    throw new Error(`The machine ended with ${keeper.exitCode}: ${why}`);
  }
  const pid = Number(first[0]);
  const run = async (...words: readonly string[]): Promise<string> =>
    (await execute('nsenter', ['--all', `--target=${pid}`, '--', ...words])).stdout;
  try {
    await eventually(() => run('systemctl', 'is-active', 'rune.target'), { label: 'systemd' });
    const trees = layout === 'unified' ? [''] : ['unified/', 'systemd/'];
    await run('mkdir', ...trees.map((tree) => `/sys/fs/cgroup/${tree}login`));
  } catch (error) {
    await stop();
    throw new Error(await complaint, { cause: error });
  }
  // With absolute paths: what PATH holds is up to the login.
  const overThere = `for tree in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
    [ ! -d "$tree/login" ] || echo $$ >"$tree/login/cgroup.procs"
  done; eval "$LOGIN_JOB"
  become=\${LOGIN_USER:+/usr/bin/setpriv --clear-groups --reuid=$LOGIN_USER --regid=$LOGIN_USER}
  unset LOGIN_JOB LOGIN_USER; exec $become /bin/sh "$@"`;
  const enter = `exec /usr/bin/nsenter --all --target=${pid} -- /usr/bin/setsid /bin/sh -c '${overThere}' login "$@"`;
  await directory.write({ login: `#!/bin/sh\necho 0 2>/dev/null >/proc/self/loginuid\n${enter}\n` });
  const loginShell = join(directory.path, 'login');
  await chmod(loginShell, 0o755);
  const startUserManager = async (id: number): Promise<void> => {
    await run('systemctl', 'start', `user@${id}.service`);
  };
  return { pid, loginShell, run, startUserManager, stop };
}
