import assert from 'node:assert/strict';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DEFAULT_NODE_PROTOCOL } from '../../../services/lmm/transports/supervise.js';
import type { PluginEnd, Transport } from '../../../services/lmm/transports/transport.js';
import { StopReason } from '../../../services/shared/gen/rune/v1/run.js';
import { makeBecomeUsers, type BecomeUsers } from '../../support/become-users.js';
import { eventually } from '../../support/eventually.js';
import { NO_SPARES, nodeOf, openLink, sshLink, type Link } from '../../support/links.js';
import { findProcesses } from '../../support/processes.js';
import {
  commandFor,
  refusalOf,
  runPlugin,
  type PluginChanges,
  type PluginRun,
} from '../../support/run-plugin.js';
import { startSshd, type TestSshd } from '../../support/sshd.js';

/** A login shell, the file that it reads for every command, and how it says there that programs are nowhere. */
interface LoginShell {
  readonly path: string;
  readonly loginFile?: string;
  readonly losePrograms?: string;
}

const SHELLS: readonly LoginShell[] = [
  { path: '/bin/dash' },
  { path: '/usr/bin/zsh', loginFile: '.zshenv', losePrograms: 'PATH=/nowhere' },
  { path: '/usr/bin/tcsh', loginFile: '.tcshrc', losePrograms: 'setenv PATH /nowhere' },
  { path: '/usr/bin/fish', loginFile: '.config/fish/config.fish', losePrograms: 'set -gx PATH /nowhere' },
];

const KINDS = ['ssh', 'openssh'] as const;

describe('a login with the shell', () => {
  let sshd: TestSshd;
  let users: BecomeUsers;
  before(async () => {
    sshd = await startSshd({
      rootOnly: true,
      hostKeyTypes: ['ed25519'],
      // Without a locale fish makes one up, which the machine may lack.
      extraConfig: ['SetEnv LANG=C.UTF-8'],
    });
    users = await makeBecomeUsers();
  });
  after(async () => {
    await sshd.stop();
    await users.remove();
  });

  let ways: { readonly link: Link; readonly transport: Transport }[] = [];
  /** A connection keeps the shell that the login had when it was made. */
  const logInWith = async (shell: string): Promise<void> => {
    await users.useShell(shell);
    ways = KINDS.map((kind) => {
      const link = sshLink(sshd, users.login, kind);
      return { link, transport: openLink(link, DEFAULT_NODE_PROTOCOL, NO_SPARES) };
    });
  };
  const logOut = async (): Promise<void> => {
    for (const { transport } of ways) await transport.close();
  };

  /** Starts a plugin over each transport. */
  const start = (script: string, changes: PluginChanges = {}): PluginRun[] =>
    ways.map(({ link, transport }) => runPlugin(transport, commandFor(nodeOf(link), script, changes)));

  const expectEnd = async (run: PluginRun, end: PluginEnd): Promise<void> => {
    const ending = await run.ending;
    assert(ending.kind === 'ended' && ending.confirmed, JSON.stringify(ending));
    assert.deepEqual(ending.end, end, run.stderr());
  };
  /** What a plugin prints, given that it ends with exit code 5 and leaves nothing. */
  const outputs = async (script: string, changes: PluginChanges = {}): Promise<string[]> => {
    const runs = start(script, changes);
    for (const run of runs) await expectEnd(run, { exitCode: 5 });
    return runs.map((run) => Buffer.from(run.stdout() + run.stderr(), 'latin1').toString());
  };

  const writeLoginFile = async (name: string, text: string): Promise<void> => {
    const file = join('/home', users.login, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, `${text}\n`);
    for (const each of [file, dirname(file), dirname(dirname(file))]) await chmod(each, 0o755);
  };

  for (const { path, loginFile, losePrograms } of SHELLS) {
    describe(path, () => {
      before(() => logInWith(path));
      after(logOut);

      it('runs what it is given as bash reads it, and nothing of it as itself', async () => {
        const input = `{"a":"$(id) \\!! %s ~ \u00e9 'x' \`id\`"}`;
        const script = 'echo "$SHELL|${BASH_VERSION:+bash}|$1"; cat; echo " trouble" >&2; exit 5';
        for (const output of await outputs(script, { input, arguments: [input] }))
          assert.equal(output, `${path}|bash|${input}\n${input} trouble\n`);
      });

      it('tells exit codes from signals, and runs a plugin from a directory', async () => {
        const ends = [
          ['exit 137', { exitCode: 137 }],
          ['kill -KILL $$', { signal: 'KILL' }],
          ['exit 97', { exitCode: 97 }],
        ] as const;
        const runs = ends.flatMap(([script, end]) => start(script).map((run) => ({ run, end })));
        for (const { run, end } of runs) await expectEnd(run, end);
        for (const output of await outputs('echo "$0"; exit 5', { delivery: 'directory' }))
          assert.match(output, /\/rune\.\w+\/plugin\n$/);
      });

      it('ends what ignores TERM and what left its session when it is cancelled, and confirms it', async () => {
        const runs = start(`trap '' TERM; setsid sleep 86400 & echo ready; sleep 86400; sleep 86400`);
        await eventually(() => runs.every((run) => run.stdout() === 'ready\n'), { label: 'the plugins' });
        for (const run of runs) run.stop(StopReason.CANCEL);
        for (const run of runs) {
          await expectEnd(run, { signal: 'KILL' });
          assert.deepEqual(findProcesses(run.runId), []);
        }
      });

      if (loginFile === undefined || losePrograms === undefined) return;

      it('is unmoved by a login file that prints', async () => {
        await writeLoginFile(loginFile, `echo noise; head -c 1000000 /dev/zero; sh -c 'echo trouble >&2'`);
        assert.deepEqual(await outputs('cat; exit 5'), ['{}', '{}']);
      });

      it('starts nothing where its login file reads the input', async () => {
        await writeLoginFile(loginFile, 'head -c 20 >/dev/null');
        for (const run of start('exit 5')) {
          assert.equal((await refusalOf(run)).name, 'NODE_SETUP_FAILED');
          assert.equal(run.startedCount(), 0);
        }
      });

      it('says that there is no bash', async () => {
        await writeLoginFile(loginFile, losePrograms);
        for (const run of start('exit 5')) {
          const { name, facts } = await refusalOf(run);
          assert.equal(name, 'NODE_SETUP_FAILED');
          assert.match(String(facts.stderrTail), /bash/);
        }
      });
    });
  }

  describe('/bin/bash that allows twelve processes', () => {
    before(async () => {
      await logInWith('/bin/bash');
      await writeLoginFile('.bashrc', 'ulimit -u 12');
    });
    after(logOut);

    for (const [what, script] of [
      [
        'takes all of them, ignores TERM and leaves its session',
        'sleep 86400 & dash -c "while setsid sleep 86400 & do :; done"; sleep 86400 &',
      ],
      ['makes more whenever one ends', `setsid perl -e '$SIG{TERM} = "IGNORE"; fork while 1' &`],
    ] as const) {
      it(`ends a plugin that ${what}, and confirms it`, async () => {
        // Over one transport: the processes of a user are counted over all sessions.
        const [{ link, transport } = assert.fail()] = ways;
        const command = commandFor(nodeOf(link), `trap '' TERM; ${script}\necho ready; exec sleep 86400`);
        const run = runPlugin(transport, command);
        await eventually(() => run.stdout() === 'ready\n', { label: 'the plugin' });
        run.stop(StopReason.CANCEL);
        await expectEnd(run, { signal: 'KILL' });
        assert.deepEqual(findProcesses(run.runId), []);
      });
    }
  });
});
