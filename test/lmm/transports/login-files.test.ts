import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DEFAULT_NODE_PROTOCOL } from '../../../services/lmm/transports/supervise.js';
import type { Transport } from '../../../services/lmm/transports/transport.js';
import { eventually } from '../../support/eventually.js';
import { findProcesses } from '../../support/processes.js';
import { NO_SPARES, nodeOf, openLink, sshLink, type Link } from '../../support/links.js';
import {
  commandFor,
  refusalOf,
  runPlugin,
  type PluginChanges,
  type PluginRun,
} from '../../support/run-plugin.js';
import { skip } from '../../support/skip.js';
import { startSshd, type TestSshd } from '../../support/sshd.js';

const exec = promisify(execFile);
const USER = 'rune-test';
const KINDS = ['ssh', 'openssh'] as const;

describe('a login whose .bashrc', () => {
  let sshd: TestSshd;
  let ways: { readonly link: Link; readonly transport: Transport }[];
  /** Runs of a login that allows no process: bash tries for 15 s to start one. */
  let crippled: PluginRun[];
  before(async () => {
    sshd = await startSshd({ hostKeyTypes: ['ed25519'], loginFiles: { '.bashrc': '' } });
    ways = KINDS.map((kind) => {
      const link = sshLink(sshd, USER, kind);
      return {
        link,
        transport: openLink(link, { ...DEFAULT_NODE_PROTOCOL, beginTimeoutMs: 2_000 }, NO_SPARES),
      };
    });
    crippled = await startAfter('ulimit -u 0', 'exit 5', { timeoutMs: 60_000 });
  });
  after(async () => {
    for (const { transport } of ways) await transport.close();
    await sshd.stop();
  });

  /** Starts a plugin after a .bashrc, over each transport; sshd's bash reads it for every command. */
  const startAfter = async (
    bashrc: string,
    script: string,
    changes: PluginChanges = {},
  ): Promise<PluginRun[]> => {
    const wasRead = join(sshd.directory, 'was-read');
    await writeFile(wasRead, '');
    await chmod(wasRead, 0o666);
    await writeFile(join(sshd.home(USER), '.bashrc'), `echo >>${wasRead}\n${bashrc}\n`);
    const runs = ways.map(({ link, transport }) =>
      runPlugin(transport, commandFor(nodeOf(link), script, { input: '{"a":1}', ...changes })),
    );
    await eventually(() => readFileSync(wasRead, 'utf8') === '\n'.repeat(KINDS.length), {
      label: 'each login to read its file',
    });
    return runs;
  };
  const runAfter = async (
    bashrc: string,
    script: string,
    changes: PluginChanges = {},
  ): Promise<PluginRun[]> => {
    const runs = await startAfter(bashrc, script, changes);
    await Promise.allSettled(runs.map((run) => run.ending));
    return runs;
  };

  const expectRan = async (runs: readonly PluginRun[], stdout: string | RegExp): Promise<void> => {
    for (const run of runs) {
      const ending = await run.ending;
      assert(ending.kind === 'ended' && ending.confirmed, JSON.stringify(ending));
      assert.deepEqual(ending.end, { exitCode: 5 }, run.stderr());
      if (typeof stdout === 'string') assert.equal(run.stdout(), stdout);
      else assert.match(run.stdout(), stdout);
      assert.equal(run.stderr(), '');
      assert.equal(ending.leftProcesses, 0);
    }
  };

  const expectNothingRan = async (runs: readonly PluginRun[], ...about: RegExp[]): Promise<void> => {
    for (const run of runs) {
      const error = await refusalOf(run);
      assert.equal(error.name, 'NODE_SETUP_FAILED', error.message);
      assert.equal(run.startedCount(), 0);
      for (const part of about) assert.match(`${error.message}\n${error.facts.stderrTail}`, part);
    }
  };

  it('prints on both outputs does not get in between', async () => {
    const bashrc = 'echo "Welcome to web01"; echo "disk is full" >&2; printf "no newline"; printf "\\036"';
    await expectRan(await runAfter(bashrc, 'cat; exit 5'), '{"a":1}');
  });

  it('prints megabytes on both outputs does not get in between', async () => {
    const bashrc = 'head -c 5000000 /dev/urandom; head -c 5000000 /dev/urandom >&2';
    await expectRan(await runAfter(bashrc, 'cat; exit 5'), '{"a":1}');
  });

  it('exports functions, options and files to source does not change what a command means', async () => {
    const bashrc =
      'cat() { echo false; }; exit() { echo false; }; printf() { echo false; }; read() { echo false; }\n' +
      'export -f cat exit printf read; export SHELLOPTS; set -o noglob; shopt -s extdebug; export BASHOPTS\n' +
      'echo "echo false" >~/env.sh; export BASH_ENV=~/env.sh ENV=~/env.sh TMOUT=1 GLOBIGNORE="*"';
    await expectRan(await runAfter(bashrc, 'cat; echo; bash -c "cd; echo *"; exit 5'), '{"a":1}\nenv.sh\n');
  });

  it('sets aliases, traps, a umask, open files and background jobs does not reach the plugin with them', async () => {
    const bashrc =
      'alias cat="echo false"; shopt -s expand_aliases; trap "echo false" EXIT DEBUG; exec 5>~/five 8</dev/null; sleep 86400 >/dev/null 2>&1 &';
    const script = 'cat; for fd in /proc/self/fd/[3-9]; do echo "$fd"; done; jobs; exit 5';
    // The glob holds one descriptor while it is expanded.
    await expectRan(await runAfter(bashrc, script), /^\{"a":1\}\/proc\/self\/fd\/(3|\[3-9\])\n$/);
  });

  it('reads a line of the input runs nothing', async () => {
    await expectNothingRan(await runAfter('read line', 'exit 5'), /exit code 97/);
  });

  it('reads the whole input runs nothing', async () => {
    await expectNothingRan(await runAfter('cat >/dev/null', 'exit 5'), /did not begin within 2000 ms/);
  });

  it('ends the shell runs nothing, and its words are in the error', async () => {
    const run = await runAfter('echo "This account is not available" >&2; exit 1', 'exit 5');
    await expectNothingRan(run, /exit code 1 before/, /This account is not available/);
  });

  it('takes bash away runs nothing, and says so', async () => {
    await expectNothingRan(
      await runAfter('PATH=/nowhere', 'exit 5'),
      /exit code 127/,
      /bash: not found|bash: .*not found|No such file/,
    );
  });

  describe('lets little be written,', () => {
    const directory = { delivery: 'directory' } as const;
    const file = { path: 'large', bytes: Buffer.alloc(200_000, 'x') };
    let mount: string;
    before(async function () {
      mount = join(sshd.directory, 'small');
      await mkdir(mount);
      try {
        await exec('mount', ['-t', 'tmpfs', '-o', 'noexec,size=64k,mode=1777', 'none', mount]);
      } catch (error) {
        skip(this, `a tmpfs cannot be mounted here, which needs CAP_SYS_ADMIN: ${String(error)}`);
      }
    });
    after(() => exec('umount', [mount]));

    it('into files of any size, runs nothing that needs a directory, and says so', async () => {
      const run = await runAfter('ulimit -f 0', 'exit 5', directory);
      await expectNothingRan(run, /the node could not start it/, /temporary directory cannot be written/);
      await expectRan(await runAfter('ulimit -f 0', 'cat; exit 5'), '{"a":1}');
    });

    it('to a full disk, runs nothing that does not fit there, and leaves nothing on it', async () => {
      const bashrc = `export TMPDIR=${mount}`;
      const run = await runAfter(bashrc, 'exit 5', { ...directory, files: [file] });
      await expectNothingRan(run, /the node could not start it/, /temporary directory cannot be written/);
      assert.deepEqual(await readdir(mount), []);
    });

    it('and nothing of it be run, runs a plugin from there all the same', async () => {
      const runs = await runAfter(`export TMPDIR=${mount}`, 'echo "${0%.*}"; exit 5', directory);
      await expectRan(runs, `${mount}/rune\n`);
      assert.deepEqual(await readdir(mount), []);
    });

    it('onto a full disk, runs what needs no directory', async () => {
      await exec('fallocate', ['-l', '64K', join(mount, 'filler')]);
      const run = await runAfter(`export TMPDIR=${mount}; cd ${mount}`, 'cat; exit 5');
      await expectRan(run, '{"a":1}');
    });
  });

  it('is fine tells the plugin’s own exit code 1 from "not started"', async () => {
    for (const run of await runAfter('', 'exit 1')) {
      const ending = await run.ending;
      assert(ending.kind === 'ended');
      assert.deepEqual(ending.end, { exitCode: 1 });
      assert.equal(run.startedCount(), 1);
    }
  });

  it('starts a job that holds the outputs does not get it counted or ended with the plugin', async () => {
    // Found in the process table, and another one each time that this is tried.
    const job = `86399.${Date.now()}`;
    // All processes are looked at, since it takes long.
    await expectRan(await startAfter(`(sleep ${job} &)`, 'cat; sleep 2.2; exit 5'), '{"a":1}');
    assert.equal(findProcesses(job).length, KINDS.length);
  });

  it('is one that the kernel has a number for has the outcome say that what left everything may survive', async function () {
    if (!existsSync('/proc/self/loginuid')) skip(this, 'this kernel has no numbers for logins');
    if (readFileSync('/proc/self/loginuid', 'utf8') !== '4294967295')
      skip(this, 'this process is of a login that has a number, and its children can get no other one');
    // As pam_loginuid does it.
    const bashrc = 'echo $UID >/proc/self/loginuid';
    const mark = `86400.${process.pid}5`;
    const script = `(env -i setsid sleep ${mark} &) >/dev/null 2>&1; exit 5`;
    const runs = await runAfter(bashrc, script);
    const left = findProcesses(mark);
    assert.equal(left.length, KINDS.length);
    for (const pid of left) process.kill(pid, 'SIGKILL');
    for (const run of runs) {
      const ending = await run.ending;
      assert(ending.kind === 'ended', JSON.stringify(ending));
      assert.deepEqual([ending.end, ending.maySurvive, ending.confirmed], [{ exitCode: 5 }, true, false]);
    }
    await expectRan(await runAfter(bashrc, 'cat; exit 5'), '{"a":1}');
  });

  describe('allows no process', () => {
    it('runs nothing, and says so', () =>
      expectNothingRan(crippled, /the node could not start it/, /no process can be started/));
  });
});
