import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import {
  DEFAULT_NODE_PROTOCOL,
  type NodeProtocolSettings,
} from '../../../services/lmm/transports/supervise.js';
import type { NodeEnding } from '../../../services/lmm/transports/transport.js';
import { StopReason } from '../../../services/shared/gen/rune/v1/run.js';
import { newId } from '../../../services/shared/messages/ids.js';
import { openBashChannel, overChannel, type BashChannel } from '../../support/bash-channel.js';
import { eventually } from '../../support/eventually.js';
import { nodeOf } from '../../support/links.js';
import { findProcesses } from '../../support/processes.js';
import { commandFor, runPlugin, type PluginChanges, type PluginRun } from '../../support/run-plugin.js';
import { skip } from '../../support/skip.js';
import { startSystemdMachine, type SystemdMachine } from '../../support/systemd-machine.js';

const PATH = '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin';
/** Short enough that systemd is not waited for long, and far from the heartbeats for a busy machine. */
const SHORT_LEASE = { heartbeatMs: 200, leaseMs: 2_400 };

/** Of a user that every machine has, and that owns nothing. */
const USER = 65_534;

/** What a login is made with, where it differs. */
type LoginChanges = Partial<NodeProtocolSettings & Readonly<Record<'path' | 'job' | 'user', string>>>;

interface ScopedRun extends PluginRun {
  readonly channel: BashChannel;
}

let marks = 0;

/** A command that stays for hours and is found by its odd number. */
function sleepMark(): string {
  marks += 1;
  return `86398.${process.pid}${String(marks).padStart(4, '0')}`;
}

/** Processes of a mark that left group, session, parent and environment: one as it is, and two of which TERM ends one at most. */
const HIDDEN = 3;
const hide = (mark: string): string =>
  `(env -i setsid sleep ${mark} & env -i setsid bash -c "trap '' TERM; while :; do sleep ${mark}; done" &) >/dev/null 2>&1; ` +
  `until [ "$(pgrep -cf ${mark})" -ge ${HIDDEN} ]; do :; done`;

const endOf = (ending: NodeEnding): object => {
  assert(ending.kind === 'ended', JSON.stringify(ending));
  const { end, stopReason, confirmed, maySurvive, leftProcesses } = ending;
  return { end, stopReason, confirmed, maySurvive, leftProcesses };
};

const FOUND_AND_ENDED = {
  end: { exitCode: 5 },
  stopReason: undefined,
  confirmed: true,
  maySurvive: false,
  leftProcesses: HIDDEN,
};
const MAY_SURVIVE = { ...FOUND_AND_ENDED, confirmed: false, maySurvive: true, leftProcesses: 0 };

describe('a plugin in a scope of systemd', () => {
  let machine: SystemdMachine;

  const start = (
    script: string,
    changes: PluginChanges = {},
    { path = PATH, job = '', user = '', ...settings }: LoginChanges = {},
  ): ScopedRun => {
    const channel = openBashChannel(
      { PATH: path, HOME: '/', LOGIN_JOB: job, LOGIN_USER: user, EDITOR: 'vi' },
      machine.loginShell,
    );
    const run = runPlugin(
      overChannel(channel, { ...DEFAULT_NODE_PROTOCOL, ...settings }),
      commandFor(nodeOf({ kind: 'local' }), script, { systemdScope: true, killGraceMs: 100, ...changes }),
    );
    return { ...run, channel };
  };
  const listScopes = (): Promise<string> =>
    machine.run('systemctl', 'list-units', '--plain', '--no-legend', 'rune-*');

  const expectFoundAndEnded = async (): Promise<void> => {
    const mark = sleepMark();
    const run = start(`${hide(mark)}; exit 5`);
    assert.deepEqual(endOf(await run.ending), FOUND_AND_ENDED, run.stderr());
    assert.deepEqual(findProcesses(mark), []);
    await eventually(async () => (await listScopes()) === '', { label: 'the scope to be removed' });
  };

  describe('where systemd keeps its groups in the unified tree', () => {
    before(async function () {
      const started = await startSystemdMachine('unified');
      if (typeof started === 'string') skip(this, started);
      machine = started;
    });
    after(() => machine?.stop());

    it('has all that it leaves behind found and ended, whatever that did to hide', expectFoundAndEnded);

    it('has all that ended when it is cancelled, when its link is cut and when its supervisor is killed', async () => {
      const marks = [sleepMark(), sleepMark(), sleepMark()] as const;
      const stay = 'echo ready; while :; do sleep 86400; done';
      const cancelled = start(`trap '' TERM; ${hide(marks[0])}; ${stay}`);
      const cut = start(`${hide(marks[1])}; ${stay}`);
      const killed = start(`${hide(marks[2])}; kill -KILL $PPID; ${stay}`);
      const areReady = (): boolean => cancelled.stdout() === 'ready\n' && cut.stdout() === 'ready\n';
      await eventually(areReady, { label: 'the plugins' });
      cut.channel.destroy();
      cancelled.stop(StopReason.CANCEL);
      assert.deepEqual(endOf(await cancelled.ending), {
        end: { signal: 'KILL' },
        stopReason: StopReason.CANCEL,
        confirmed: true,
        maySurvive: false,
        leftProcesses: 0,
      });
      assert.deepEqual(findProcesses(marks[0]), []);
      assert.equal((await killed.ending).kind, 'lost');
      await eventually(
        () =>
          assert.deepEqual(
            marks.flatMap((mark) => findProcesses(mark)),
            [],
          ),
        {
          label: 'the end of everything',
        },
      );
    });

    it('sees what it would see without one, and ends as it would', async () => {
      const show =
        'cat; echo; echo "$0 $# $-"; env | grep -v ^RUNE_RUN_ID=; fds=(/proc/$$/fd/*); echo ${fds[@]##*/}; umask; pwd; ' +
        'grep -E "^(Sig[^Q]|Shd|Cap|NoNew|Seccomp)" /proc/self/status; cat /proc/self/limits /proc/self/oom_score_adj; ' +
        'tr "\\0" " " </proc/$$/environ; [ $$ -eq "$(ps -o pgid= -p $$)" ] && echo leads; grep -o rune- /proc/$$/cgroup >&2; ';
      const ways = [true, false].flatMap((systemdScope) =>
        ['exit 7', 'kill -TERM $$', 'exit 137', '(exit 1; nothing'].map((last) =>
          start(`${show}\n${last}`, { systemdScope, input: '{"a":1}', environment: { PT_x: 'y z' } }),
        ),
      );
      const endings = await Promise.all(ways.map((run) => run.ending));
      const seen = ways.map((run, index) => [endOf(endings[index] as NodeEnding), run.stdout()]);
      assert.match(ways[0]?.stdout() ?? '', /^\{"a":1\}\n.*\nPT_x=y z\n.*\nleads\n$/s);
      assert.deepEqual(seen.slice(0, 4), seen.slice(4));
      // The line of a fault too.
      const faults = ways.map((run) => run.stderr());
      assert.deepEqual(
        faults.slice(0, 4),
        faults.slice(4).map((text) => `rune-\n${text}`),
      );
    });

    it('leaves what its manifest allows, in its scope, which goes with it', async () => {
      const mark = sleepMark();
      const run = start(`(env -i setsid sleep ${mark} &) >/dev/null 2>&1; exit 5`, { leavesProcesses: true });
      assert.deepEqual(endOf(await run.ending), { ...MAY_SURVIVE, leftProcesses: 1 });
      const [left = 0, ...others] = findProcesses(mark);
      assert(left > 0 && others.length === 0);
      assert.match(
        await listScopes(),
        new RegExp(`^rune-${run.runId}.scope +loaded active running RUNE run`),
      );
      process.kill(left, 'SIGKILL');
      await eventually(async () => (await listScopes()) === '', { label: 'the scope to be removed' });
    });

    it('has all that it leaves behind as a user found and ended, if the user has a manager', async () => {
      await machine.startUserManager(USER);
      const mark = sleepMark();
      const script = `grep -o 'user@.*/rune-' /proc/$$/cgroup; ${hide(mark)}; exit 5`;
      const run = start(script, {}, { user: String(USER) });
      assert.deepEqual(endOf(await run.ending), FOUND_AND_ENDED, run.stderr());
      assert.equal(run.stdout(), `user@${USER}.service/app.slice/rune-\n`);
      assert.deepEqual(findProcesses(mark), []);
    });

    describe('and the kernel numbers logins', () => {
      before(function () {
        if (!existsSync('/proc/self/loginuid')) skip(this, 'this kernel has no numbers for logins');
      });

      it('has what systemd moves out of the scope said to be able to survive', async () => {
        const mark = sleepMark();
        const moved = `systemd-run --scope --quiet -- env -i setsid sleep ${mark}`;
        const run = start(
          `(${moved} &) >/dev/null 2>&1; until pgrep -f '^sleep ${mark}'; do :; done; exit 5`,
        );
        assert.deepEqual(endOf(await run.ending), MAY_SURVIVE);
        assert.equal(findProcesses(mark).length, 1);
      });

      it('is not taken for the source of what others of the login have started', async () => {
        const mark = sleepMark();
        const job = `(until [ -e /tmp/${mark} ]; do sleep 0.01; done; env -i setsid sleep ${mark} &) >/dev/null 2>&1 &`;
        const script = `>/tmp/${mark}; until pgrep -f '^sleep ${mark}' >/dev/null; do :; done; exit 5`;
        const run = start(script, {}, { job });
        assert.deepEqual(endOf(await run.ending), { ...FOUND_AND_ENDED, leftProcesses: 0 });
        assert.equal(findProcesses(mark).length, 1);
      });

      it('runs without one where the node gives none, and may survive', async () => {
        const programs = ['bash', 'env', 'setsid', 'sleep', 'pgrep'];
        const links = programs.map((name) => `ln -sf "$(command -v ${name})" /tmp/bin`);
        await machine.run('sh', '-c', `mkdir -p /tmp/bin; ${links.join('; ')}`);
        const runId = newId();
        const taken = machine.run('systemd-run', '--scope', `--unit=rune-${runId}`, 'sleep', '60');
        taken.catch(() => undefined);
        await eventually(async () => (await listScopes()).includes(runId), { label: 'a unit of that name' });
        const without: readonly [why: string, changes: PluginChanges, login: LoginChanges][] = [
          ['there is no systemd-run', {}, { path: '/tmp/bin' }],
          ['systemd refuses it', { runId }, {}],
          ['the user has no manager', {}, { user: String(USER - 1) }],
        ];
        await Promise.all(
          without.map(async ([why, changes, login]) => {
            const mark = sleepMark();
            const run = start(`${hide(mark)}; exit 5`, changes, login);
            assert.deepEqual(endOf(await run.ending), MAY_SURVIVE, why);
            assert.equal(run.stderr(), '', why);
            assert.equal(findProcesses(mark).length, HIDDEN, why);
          }),
        );
      });

      it('runs without one where systemd does not answer, and may survive', async () => {
        const mark = sleepMark();
        process.kill(machine.pid, 'SIGSTOP');
        try {
          const run = start(`${hide(mark)}; exit 5`, {}, SHORT_LEASE);
          assert.deepEqual(endOf(await run.ending), MAY_SURVIVE);
          assert.equal(findProcesses(mark).length, HIDDEN);
        } finally {
          process.kill(machine.pid, 'SIGCONT');
        }
      });
    });
  });

  describe('where systemd keeps its groups in a tree of its own', () => {
    before(async function () {
      const started = await startSystemdMachine('hybrid');
      if (typeof started === 'string') skip(this, started);
      machine = started;
    });
    after(() => machine?.stop());

    it('has all that it leaves behind found and ended, whatever that did to hide', expectFoundAndEnded);
  });
});
