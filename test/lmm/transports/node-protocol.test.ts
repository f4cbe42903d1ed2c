import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { encodeUpload } from '../../../services/lmm/transports/encode-upload.js';
import { DEFAULT_NODE_PROTOCOL } from '../../../services/lmm/transports/supervise.js';
import { StopReason } from '../../../services/shared/gen/rune/v1/run.js';
import { nodePath } from '../../support/bash.js';
import { openBashChannel, overChannel, type BashChannel } from '../../support/bash-channel.js';
import { eventually } from '../../support/eventually.js';
import { nodeOf } from '../../support/links.js';
import { findProcesses, parentPid } from '../../support/processes.js';
import { commandFor, runPlugin, type PluginChanges, type PluginRun } from '../../support/run-plugin.js';
import { skip } from '../../support/skip.js';

const exec = promisify(execFile);
const PATH = nodePath;

describe('the node protocol on a real bash', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rune-test-'));
    await chmod(folder, 0o755);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const start = (
    script: string,
    environment: Record<string, string> = {},
    changes: PluginChanges = {},
  ): { run: PluginRun; channel: BashChannel } => {
    const channel = openBashChannel({ PATH, HOME: folder, ...environment });
    const command = commandFor(nodeOf({ kind: 'local' }), script, changes);
    return { run: runPlugin(overChannel(channel, DEFAULT_NODE_PROTOCOL), command), channel };
  };

  const readStat = (pid: number): string => {
    try {
      return readFileSync(`/proc/${pid}/stat`, 'latin1');
    } catch {
      return ''; // It is gone.
    }
  };

  const nonceOf = (channel: BashChannel): string => {
    const nonce = /NONCE=([0-9a-f]{32})/.exec(channel.sent().toString('latin1'))?.[1];
    assert(nonce);
    assert(channel.received().includes(nonce));
    return nonce;
  };

  it('keeps the nonce from everything that the plugin can print or list', async () => {
    const { run, channel } = start(
      'set -x; declare -p; declare -f; env; set; jobs -l; trap; ps -eo args || :; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ',
    );
    const ending = await run.ending;
    assert(ending.kind === 'ended');
    const nonce = nonceOf(channel);
    assert(run.stdout().length > 1000);
    assert(!run.stdout().includes(nonce) && !run.stderr().includes(nonce));
  });

  it('keeps the nonce from the memory of the plugin and of what it starts', async () => {
    const { run, channel } = start('sleep 86400 & echo $$ $!; wait');
    const [plugin, child] = await eventually(
      () => run.stdout().includes('\n') && run.stdout().trim().split(' ').map(Number),
      {
        label: 'the plugin',
      },
    );
    assert(plugin && child);
    const nonce = nonceOf(channel);
    assert(memoryHolds(parentPid(plugin), nonce), 'the supervisor does hold it, so the search works');
    assert(memoryHolds(plugin, run.runId), 'the run id is there, so the search works');
    assert(!memoryHolds(plugin, nonce));
    assert(!memoryHolds(child, nonce));
    run.stop(StopReason.CANCEL);
    await run.ending;
  });

  it('puts neither the plugin nor its input nor the nonce into an argument, an environment or a file', async () => {
    const { run, channel } = start(
      'cat; : canary-of-the-script; sleep 86400',
      {},
      { input: 'canary-of-the-input' },
    );
    await eventually(() => run.stdout() === 'canary-of-the-input', { label: 'the input' });
    for (const secret of ['canary-of-the-script', 'canary-of-the-input', nonceOf(channel)]) {
      assert.deepEqual(findProcesses(secret), []);
    }
    assert.deepEqual(await readdir(folder), []);
    run.stop(StopReason.CANCEL);
    await run.ending;
  });

  it('lets nothing of the login’s environment through but what is allowed', async () => {
    await writeFile(join(folder, 'env.sh'), 'echo from BASH_ENV; ls() { echo false; }\n');
    const { run } = start('env; ls /dev/null; bash -c "ls /dev/null; declare -F"; echo "$-"', {
      'BASH_FUNC_ls%%': '() { echo false; }',
      'BASH_FUNC_cat%%': '() { echo false; }',
      BASH_ENV: join(folder, 'env.sh'),
      ENV: join(folder, 'env.sh'),
      SHELLOPTS: 'xtrace:verbose:errexit:posix',
      BASHOPTS: 'extdebug:failglob',
      POSIXLY_CORRECT: '1',
      TMOUT: '1',
      GLOBIGNORE: '*',
      FUNCNEST: '1',
      IFS: 'abc',
      PS4: '$(echo false)',
      LD_LIBRARY_PATH: '/nowhere',
      SECRET: 'canary',
      SHELL: '/bin/sh',
      LANG: 'C.UTF-8',
      LC_ALL: 'C.UTF-8',
      LC_TIME: 'C',
      TZ: "Mars/'Olympus Mons'; $(echo false)",
      https_proxy: 'http://proxy:3128',
    });
    const ending = await run.ending;
    assert(ending.kind === 'ended' && ending.confirmed, JSON.stringify(ending));
    assert.equal(run.stderr(), '');
    const lines = run.stdout().trim().split('\n');
    assert.deepEqual(lines.slice(-3), ['/dev/null', '/dev/null', 'hBc']);
    assert.deepEqual(
      lines
        .slice(0, -3)
        .filter((line) => !/^(PWD|OLDPWD|SHLVL|_)=/.test(line))
        .toSorted(),
      [
        `HOME=${folder}`,
        'LANG=C.UTF-8',
        'LC_ALL=C.UTF-8',
        'LC_TIME=C',
        `PATH=${PATH}`,
        `RUNE_RUN_ID=${run.runId}`,
        'SHELL=/bin/sh',
        "TZ=Mars/'Olympus Mons'; $(echo false)",
        'https_proxy=http://proxy:3128',
      ].toSorted(),
    );
  });

  it('runs a plugin of another language where the temporary directory may run nothing', async function () {
    const mount = join(folder, 'noexec');
    await exec('mkdir', [mount]);
    try {
      await exec('mount', ['-t', 'tmpfs', '-o', 'noexec,size=1m', 'none', mount]);
    } catch (error) {
      skip(this, `a tmpfs cannot be mounted here, which needs CAP_SYS_ADMIN: ${String(error)}`);
    }
    try {
      const script = '#!/usr/bin/env -S python3 -u\nimport sys\nprint(sys.argv[0])\n';
      const { run } = start(script, { TMPDIR: mount }, { delivery: 'directory' });
      const ending = await run.ending;
      assert(ending.kind === 'ended', JSON.stringify(ending));
      assert.deepEqual(ending.end, { exitCode: 0 }, run.stderr());
      assert(run.stdout().startsWith(`${mount}/rune.`));
      assert.deepEqual(await readdir(mount), []);
    } finally {
      await exec('umount', [mount]);
    }
  });

  it('says that nothing ran when no temporary directory can be made', async () => {
    const { run } = start('#!/bin/sh\n', { TMPDIR: join(folder, 'missing') }, { delivery: 'directory' });
    await assert.rejects(run.ending, { name: 'NODE_SETUP_FAILED' });
  });

  it('lets what may stay alive live when the channel ends just after the plugin', async () => {
    let stdout = '';
    let goOn = (): void => undefined;
    const ready = new Promise<void>((resolve) => (goOn = resolve));
    const channel = openBashChannel({ PATH, HOME: folder });
    // What it leaves fills the standard error, which is not read: there the supervisor stands still with its last word.
    const script = '(printf %1048576s >&2; exec sleep 86400) & sleep 86400 & echo $PPID $$; exit 4';
    const run = runPlugin(
      overChannel(channel, DEFAULT_NODE_PROTOCOL),
      commandFor(nodeOf({ kind: 'local' }), script, { leavesProcesses: true, killGraceMs: 20_000 }),
      {
        started: () => undefined,
        stdout: (chunk) => void (stdout += chunk.toString()),
        stderr: () => ready,
      },
    );
    const stateOf = (pid: number): string => / ([A-Z]) /.exec(readStat(pid))?.[1] ?? '';
    await eventually(() => stdout.includes('\n'), { label: 'the plugin' });
    const [supervisor = 0, plugin = 0] = stdout.split(' ').map(Number);
    await eventually(() => stateOf(plugin) === '' && stateOf(supervisor) === 'S', { label: 'its end' });
    channel.stdin.end();
    // Its watchdog continues it at every step: after the second one it has seen the end of the channel.
    for (const step of ['first', 'second']) {
      await eventually(() => process.kill(supervisor, 'SIGSTOP') && stateOf(supervisor) === 'T', {
        label: 'a stop',
      });
      await eventually(() => stateOf(supervisor) !== 'T', { label: `the ${step} step of the watchdog` });
    }
    goOn();
    const ending = await run.ending;
    assert(ending.kind === 'ended', JSON.stringify(ending));
    const { end, leftProcesses, maySurvive, stopReason } = ending;
    assert.deepEqual(
      { end, leftProcesses, maySurvive, stopReason },
      { end: { exitCode: 4 }, leftProcesses: 2, maySurvive: true, stopReason: undefined },
    );
    // One of them is found by its environment when it has become sleep, which may be after the last word.
    await eventually(() => findProcesses(run.runId).length === 2, { label: 'both that were left' });
    for (const pid of findProcesses(run.runId)) process.kill(pid, 'SIGKILL');
  });

  it('removes the directory when the link is cut', async () => {
    const { run, channel } = start(
      '#!/bin/sh\necho "$0"; sleep 86400\n',
      { TMPDIR: folder },
      { delivery: 'directory' },
    );
    await eventually(() => run.stdout().includes('/plugin'), { label: 'the plugin' });
    channel.destroy();
    await eventually(async () => (await readdir(folder)).every((name) => !name.startsWith('rune.')), {
      label: 'the directory to be removed',
    });
  });

  describe('in a session that it shares with others', () => {
    // A login shell that stays: the session is its own.
    const startShared = async (script: string): Promise<PluginRun> => {
      const login = join(folder, 'login');
      await writeFile(login, '#!/bin/sh\n/bin/sh "$@"\nexit $?\n', { mode: 0o755 });
      const channel = openBashChannel({ PATH, HOME: folder }, login);
      return runPlugin(
        overChannel(channel, DEFAULT_NODE_PROTOCOL),
        commandFor(nodeOf({ kind: 'local' }), script),
      );
    };

    it('ends what left the group and carries the id of the run', async () => {
      const run = await startShared('set -m; sleep 86400 & setsid sleep 86400 & exit 0');
      const ending = await run.ending;
      assert(ending.kind === 'ended' && ending.confirmed, JSON.stringify(ending));
      assert.equal(ending.leftProcesses, 2);
      assert.deepEqual(findProcesses(run.runId), []);
    });

    it('says that something may survive when it cannot tell whose it is', async () => {
      const run = await startShared(
        'set -m; (while :; do read -t 60 <>/dev/null || sleep 86400; done) & echo $!',
      );
      const ending = await run.ending;
      assert(ending.kind === 'ended');
      assert.equal(ending.maySurvive, true);
      assert.equal(ending.confirmed, false);
      process.kill(-Number(run.stdout()), 'SIGKILL');
    });
  });

  it('finds what is left where the numbers of processes have begun anew', async function () {
    const login = join(folder, 'login-anew');
    // In a namespace of its own the last number can be set.
    const last = 'read -r most </proc/sys/kernel/pid_max; echo $((most - 20)) >/proc/sys/kernel/ns_last_pid';
    const anew = `exec unshare --pid --fork --mount-proc bash -c '${last} || exit 3; "$@"; exit $?' bash`;
    await writeFile(login, `#!/bin/sh\n${anew} /bin/sh "$@"\n`, { mode: 0o755 });
    const can = await exec(login, ['-c', 'true']).then(
      () => true,
      () => false,
    );
    if (!can) skip(this, 'the kernel gives this user no namespace of processes whose numbers it may set');
    const channel = openBashChannel({ PATH, HOME: folder }, login);
    const run = runPlugin(
      overChannel(channel, DEFAULT_NODE_PROTOCOL),
      commandFor(
        nodeOf({ kind: 'local' }),
        'for i in {1..40}; do /bin/true; done; setsid sleep 86400 & echo "$$ $!"',
      ),
    );
    const ending = await run.ending;
    assert(ending.kind === 'ended' && ending.confirmed, JSON.stringify(ending));
    const [plugin = 0, left = 0] = run.stdout().split(' ').map(Number);
    assert(left < plugin, run.stdout());
    assert.equal(ending.leftProcesses, 1);
    assert.deepEqual(findProcesses(run.runId), []);
  });

  it('evaluates nothing before the word go, though everything else has come', async () => {
    const channel = openBashChannel({ PATH, HOME: folder });
    const command = commandFor(nodeOf({ kind: 'local' }), 'echo it ran');
    channel.stdin.write(encodeUpload(command, 1_000).bytes);
    channel.stdout.resume();
    channel.stderr.resume();
    await eventually(() => channel.received().includes(' begin\n'), { label: 'begin' });
    channel.stdin.end();
    await channel.ended;
    assert(!channel.received().includes('it ran'));
    assert(!channel.received().includes(' started'));
  });

  it('ends the plugin when its watchdog is killed', async () => {
    const { run } = start(
      'for p in $(ps -o pid= --ppid $PPID); do [ $p = $$ ] || kill -KILL $p; done; sleep 86400',
    );
    const ending = await run.ending;
    assert(ending.kind === 'ended', JSON.stringify(ending));
    assert.deepEqual(ending.end, { signal: 'KILL' });
    assert.equal(ending.stopReason, StopReason.CUT);
    assert.equal(ending.confirmed, true);
  });
});

/** Whether a text stands anywhere in the memory of a process. */
function memoryHolds(pid: number, text: string): boolean {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    return readFileSync(`/proc/${pid}/maps`, 'utf8')
      .split('\n')
      .some((line) => {
        const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) r/.exec(line) ?? [];
        if (from === undefined || to === undefined) return false;
        const size = Number(BigInt(`0x${to}`) - BigInt(`0x${from}`));
        const bytes = Buffer.alloc(size);
        try {
          readSync(memory, bytes, 0, size, BigInt(`0x${from}`));
        } catch {
          return false; // A mapping of the kernel.
        }
        return bytes.includes(text);
      });
  } finally {
    closeSync(memory);
  }
}
