import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DEFAULT_NODE_PROTOCOL } from '../../../services/lmm/transports/supervise.js';
import type { Transport } from '../../../services/lmm/transports/transport.js';
import { nodeOf, openLink, sshLink, type Link } from '../../support/links.js';
import { commandFor, refusalOf, runPlugin, type PluginRun } from '../../support/run-plugin.js';
import { startSshd, type TestSshd } from '../../support/sshd.js';

const USER = 'rune-test';

describe('a login whose .bashrc', () => {
  let sshd: TestSshd;
  let link: Link;
  let transport: Transport;
  before(async () => {
    sshd = await startSshd({ loginFiles: { '.bashrc': '' } });
    link = sshLink(sshd, USER);
    transport = openLink(link, { ...DEFAULT_NODE_PROTOCOL, beginTimeoutMs: 700 });
  });
  after(async () => {
    await transport.close();
    await sshd.stop();
  });

  /** Runs a plugin after a .bashrc; sshd's bash reads it for every command. */
  const runAfter = async (bashrc: string, script: string): Promise<PluginRun> => {
    await writeFile(join(sshd.home(USER), '.bashrc'), `touch ~/was-read\n${bashrc}\n`);
    const run = runPlugin(
      transport,
      commandFor(nodeOf(link), `rm ~/was-read || exit 66\n${script}`, { input: '{"a":1}' }),
    );
    await run.ending.catch(() => undefined);
    return run;
  };

  const expectRan = async (run: PluginRun, stdout: string): Promise<void> => {
    const ending = await run.ending;
    assert(ending.kind === 'ended', JSON.stringify(ending));
    assert.deepEqual(ending.end, { exitCode: 5 }, run.stderr());
    assert.equal(run.stdout(), stdout);
    assert.equal(run.stderr(), '');
  };

  const expectNothingRan = async (run: PluginRun, ...about: RegExp[]): Promise<void> => {
    const error = await refusalOf(run);
    assert.equal(error.name, 'NODE_SETUP_FAILED', error.message);
    assert.equal(run.startedCount(), 0);
    for (const part of about) assert.match(`${error.message}\n${error.facts.stderrTail}`, part);
  };

  it('prints on both outputs does not get in between', async () => {
    const bashrc = 'echo "Welcome to web01"; echo "disk is full" >&2; printf "no newline"; printf "\\036"';
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
    const run = await runAfter(bashrc, script);
    const ending = await run.ending;
    assert(ending.kind === 'ended' && ending.leftProcesses === 0 && ending.confirmed, JSON.stringify(ending));
    assert.match(run.stdout(), /^\{"a":1\}\/proc\/self\/fd\/(3|\[3-9\])\n$/);
  });

  it('reads a line of the input runs nothing', async () => {
    await expectNothingRan(await runAfter('read line', 'exit 5'), /exit code 97/);
  });

  it('reads the whole input runs nothing', async () => {
    await expectNothingRan(await runAfter('cat >/dev/null', 'exit 5'), /did not begin within 700 ms/);
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

  it('is fine tells the plugin’s own exit code 1 from "not started"', async () => {
    const run = await runAfter('', 'exit 1');
    const ending = await run.ending;
    assert(ending.kind === 'ended');
    assert.deepEqual(ending.end, { exitCode: 1 });
    assert.equal(run.startedCount(), 1);
  });
});
