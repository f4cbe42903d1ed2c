import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { DEFAULT_NODE_PROTOCOL } from '../../../services/lmm/transports/supervise.js';
import type { RunAs } from '../../../services/lmm/transports/transport.js';
import { StopReason } from '../../../services/shared/gen/rune/v1/run.js';
import { makeBecomeUsers, type BecomeUsers } from '../../support/become-users.js';
import { eventually } from '../../support/eventually.js';
import { nodeOf, openLink, sshLink, type Link } from '../../support/links.js';
import { findProcesses, isAlive, parentPid } from '../../support/processes.js';
import { commandFor, refusalOf, runPlugin, type PluginRun } from '../../support/run-plugin.js';
import { startSshd, type TestSshd } from '../../support/sshd.js';

const ALLOWED = {
  sudoers: 'LOGIN ALL=(root,TARGET) NOPASSWD: /usr/bin/bash',
  doas: 'permit nopass LOGIN as root cmd bash\npermit nopass LOGIN as TARGET cmd bash',
};

describe('another user', () => {
  let sshd: TestSshd;
  let users: BecomeUsers;
  before(async () => {
    sshd = await startSshd({ rootOnly: true, maxSessions: 20 });
    users = await makeBecomeUsers();
  });
  after(async () => {
    await sshd.stop();
    await users.remove();
  });

  const runAs = async (
    script: string,
    how: RunAs,
    input = '{}',
    link: Link = sshLink(sshd, users.login),
  ): Promise<PluginRun> => {
    const transport = openLink(link, DEFAULT_NODE_PROTOCOL);
    const run = runPlugin(transport, commandFor(nodeOf(link), script, { runAs: how, input }));
    await run.ending.catch(() => undefined);
    await transport.close();
    return run;
  };
  const output = async (script: string, how: RunAs, input?: string): Promise<string> => {
    const run = await runAs(script, how, input);
    const ending = await run.ending;
    assert(ending.kind === 'ended' && ending.confirmed, JSON.stringify(ending));
    return run.stdout();
  };
  const targetBy = (become: RunAs['become']): RunAs => ({ user: users.target, become });

  describe('who may run bash', () => {
    before(() => users.allow(ALLOWED));

    for (const become of ['sudo', 'doas'] as const) {
      it(`runs the plugin by ${become} with home, working directory and names of that user, and nothing of the login`, async () => {
        const script =
          'echo "$(id -un) $USER $LOGNAME $SHELL $HOME $PWD"; echo "$PATH"; echo "$TMPDIR|$XDG_RUNTIME_DIR|$(compgen -e | grep -c SUDO)"';
        const [names, path, rest] = (await output(script, targetBy(become))).split('\n');
        const { target } = users;
        assert.equal(names, `${target} ${target} ${target} /bin/sh /home/${target} /home/${target}`);
        for (const directory of ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'])
          assert(path?.split(':').includes(directory), path);
        assert.equal(rest, '||0');
        const root = await output('echo "$(id -un) $HOME $PWD"', { user: 'root', become });
        assert.equal(root, 'root /root /root\n');
      });

      it(`kills by ${become} what the plugin left, and looks for it with the rights of that user`, async () => {
        const mark = `86400.${process.pid}${become.length}77`;
        const run = await runAs(
          `setsid sleep ${mark} & env -i sleep ${mark} & (trap '' TERM; sleep ${mark}) & exit 3`,
          {
            user: 'root',
            become,
          },
        );
        const ending = await run.ending;
        assert(
          ending.kind === 'ended' && ending.confirmed && ending.leftProcesses > 2,
          JSON.stringify(ending),
        );
        assert.deepEqual(findProcesses(mark), []);
      });
    }

    describe('and logs in with', () => {
      before(() => users.allow(ALLOWED));
      after(() => users.useShell('/bin/bash'));

      for (const shell of ['/bin/dash', '/usr/bin/zsh', '/usr/bin/tcsh', '/usr/bin/fish']) {
        it(`${shell} is started by the same line`, async () => {
          await users.useShell(shell);
          for (const become of ['sudo', 'doas'] as const) {
            assert.equal(await output('id -un; cat', targetBy(become)), `${users.target}\n{}`);
            const run = await runAs('echo ran', { user: 'nobody-at-all', become });
            assert.equal((await refusalOf(run)).name, 'BECOME_UNAVAILABLE');
          }
        });
      }
    });

    it('is become on the host of the mediator too', async () => {
      await users.allow({ doas: 'permit nopass root as TARGET cmd bash' });
      for (const become of ['sudo', 'doas'] as const) {
        const run = await runAs('echo "$(id -un) $HOME $PWD"; cat', targetBy(become), '{}', {
          kind: 'local',
        });
        const home = `/home/${users.target}`;
        assert.equal(run.stdout(), `${users.target} ${home} ${home}\n{}`);
        const nobody = await runAs('exit', { user: 'nobody-at-all', become }, '{}', { kind: 'local' });
        assert.equal((await refusalOf(nobody)).name, 'BECOME_UNAVAILABLE');
      }
      await users.allow(ALLOWED);
    });

    it('may stop whatever it likes: sudo, which stops itself with it, goes on', async () => {
      const link = sshLink(sshd, users.login);
      const transport = openLink(link, DEFAULT_NODE_PROTOCOL);
      const mark = `86400.${process.pid}88`;
      const script = `echo $PPID; kill -STOP $PPID; sleep ${mark}`;
      const run = runPlugin(transport, commandFor(nodeOf(link), script, { runAs: targetBy('sudo') }));
      await eventually(() => run.stdout() !== '' && findProcesses(mark).length > 0, { label: 'the plugin' });
      const sudo = parentPid(Number(run.stdout()));
      assert(isAlive(sudo));
      run.stop(StopReason.CANCEL);
      const ending = await run.ending;
      assert(ending.kind === 'ended' && ending.confirmed, JSON.stringify(ending));
      await eventually(() => !isAlive(sudo), { label: 'sudo to end' });
      await transport.close();
    });

    it('gets what the plugin reads on stdin alone: it stands in no argument, environment or file', async () => {
      const canary = `canary-${process.pid}`;
      const found =
        'grep -als "canary-[0-9]" /proc/[0-9]*/cmdline /proc/[0-9]*/environ "$HOME"/* /tmp/rune.* | wc -l; cat';
      const printed = await output(found, { user: 'root', become: 'sudo' }, `{"secret":"${canary}"}`);
      assert.equal(printed, `0\n{"secret":"${canary}"}`);
    });

    it('runs in / where there is no home', async () => {
      await rm(`/home/${users.target}`, { recursive: true });
      assert.equal(await output('pwd', targetBy('sudo')), '/\n');
    });

    it('is the login itself without sudo, where the login has that name', async () => {
      await users.allow({});
      assert.equal(await output('id -un', { user: users.login, become: 'sudo' }), `${users.login}\n`);
    });
  });

  describe('who may not', () => {
    const refused = async (
      rules: Parameters<BecomeUsers['allow']>[0],
      how: RunAs,
    ): Promise<{ name: string; message: string }> => {
      await users.allow(rules);
      const [overSsh, overOpenssh] = await Promise.all(
        (['ssh', 'openssh'] as const).map(async (kind) => {
          const run = await runAs('echo ran', how, '{}', sshLink(sshd, users.login, kind));
          const { name, message } = await refusalOf(run);
          assert.equal(run.startedCount(), 0);
          return { name, message };
        }),
      );
      assert.deepEqual(overOpenssh, overSsh);
      return overSsh ?? assert.fail();
    };
    const nothingRan = (why: string): string => `Nothing ran on web01: ${why}.`;

    it('is told apart from a password, where sudo may tell', async () => {
      // Something may be run without a password, so that sudo answers what else may be run.
      const sudoers = 'LOGIN ALL=(TARGET) NOPASSWD: /usr/bin/true\nLOGIN ALL=(root) /usr/bin/bash';
      assert.deepEqual(await refused({ sudoers }, targetBy('sudo')), {
        name: 'BECOME_DENIED',
        message: nothingRan(`sudo does not let the login run bash as ${users.target}`),
      });
      assert.deepEqual(await refused({ sudoers }, { user: 'root', become: 'sudo' }), {
        name: 'BECOME_PASSWORD_REQUIRED',
        message: nothingRan('sudo asks the login for a password before it runs bash as root'),
      });
    });

    it('is asked for a password by sudo if nothing is allowed at all', async () => {
      assert.equal((await refused({}, targetBy('sudo'))).name, 'BECOME_PASSWORD_REQUIRED');
    });

    it('is told so by doas, whether it is a password or never', async () => {
      const doas = 'permit LOGIN as TARGET cmd bash\npermit nopass LOGIN as root cmd true';
      assert.equal((await refused({ doas }, targetBy('doas'))).name, 'BECOME_PASSWORD_REQUIRED');
      assert.deepEqual(await refused({ doas }, { user: 'root', become: 'doas' }), {
        name: 'BECOME_DENIED',
        message: nothingRan('doas does not let the login run bash as root'),
      });
    });

    it('is told apart from a user or a program that is missing', async () => {
      const sudoers = 'LOGIN ALL=(ALL) NOPASSWD: ALL';
      assert.deepEqual(await refused({ sudoers }, { user: 'nobody-at-all', become: 'sudo' }), {
        name: 'BECOME_UNAVAILABLE',
        message: nothingRan('sudo cannot run bash as nobody-at-all: there is no such user'),
      });
      assert.deepEqual(await refused({ sudoers }, { user: 'root', become: 'no-such-sudo' as 'sudo' }), {
        name: 'BECOME_UNAVAILABLE',
        message: nothingRan('no-such-sudo is not installed there'),
      });
    });

    it('is told that sudo wants a terminal', async () => {
      const sudoers = `Defaults:LOGIN requiretty\n${ALLOWED.sudoers}`;
      assert.deepEqual(await refused({ sudoers }, targetBy('sudo')), {
        name: 'BECOME_DENIED',
        message: nothingRan(`sudo runs bash as ${users.target} only from a terminal (requiretty)`),
      });
    });

    it('is not taken for one by what the login prints', async () => {
      const words = 'echo "sudo: a password is required" >&2';
      const bashrc = `/home/${users.login}/.bashrc`;
      await users.allow(ALLOWED);
      await writeFile(bashrc, `${words}\n`);
      assert.equal(await output('id -un', { user: 'root', become: 'sudo' }), 'root\n');
      await writeFile(bashrc, `${words}; exit 5\n`);
      assert.equal((await refused(ALLOWED, targetBy('sudo'))).name, 'NODE_SETUP_FAILED');
      await rm(bashrc);
    });
  });
});
