import assert from 'node:assert/strict';
import { makeScriptedNode, type ScriptedNode } from '../support/scripted-node.js';
import { paramsFaults, runShippedAction, type ActionEnding, type ActionRun } from './shipped-action.js';
import { failed, running, starting, stopped, unknown } from './unit-scenes.js';
import { skipUnlessRoot } from '../support/skip.js';

const UNIT = 'nginx.service';
const RESTART = ['restart', '--no-block', '--no-ask-password', '--', UNIT];
const SUDOERS = 'nobody ALL=(root) NOPASSWD:';

describe('the action restart-service', () => {
  let node: ScriptedNode;
  const restart = (run: ActionRun = {}): Promise<ActionEnding> =>
    runShippedAction('restart-service', {
      environment: { PATH: node.commandPath },
      ...run,
      params: { unit: 'nginx', stable_seconds: 0, ...run.params },
    });

  beforeEach(async () => {
    node = await makeScriptedNode();
  });
  afterEach(() => node.remove());

  it('restarts a service that runs, waits until it is active and reports it before and after', async () => {
    await node.unit(UNIT, running(100), starting, starting, running(200));
    const { output, progress, stderr } = await restart();
    const { waited_seconds: waited, commands, ...rest } = output;
    assert.equal(typeof waited, 'number');
    assert.match(
      String(commands),
      /^\/.*\/systemctl restart --no-block --no-ask-password -- nginx\.service$/,
    );
    const state = {
      active_state: 'active',
      sub_state: 'running',
      result: 'success',
      exit_status: 0,
      restarts: 0,
      since: '2026-11-22T03:00:00Z',
    };
    assert.deepEqual(rest, {
      message: 'nginx.service restarted',
      unit: UNIT,
      operation: 'restart',
      privilege: process.getuid?.() === 0 ? 'root' : 'none',
      affected_units: [],
      needs_daemon_reload: false,
      before: { ...state, main_pid: 100 },
      after: { ...state, main_pid: 200 },
    });
    assert.deepEqual(progress, [
      'nginx.service is active; asking systemd for a restart',
      'nginx.service is activating/start',
      'nginx.service is active; watching it for 0 s',
    ]);
    assert.equal(stderr, '');
    const calls = await node.calls();
    assert.deepEqual(
      calls.map(([, verb]) => verb),
      ['show', 'restart', 'show', 'show', 'show', 'show'],
    );
    assert.deepEqual(calls[1], ['systemctl', ...RESTART]);
    for (const call of calls) assert.deepEqual(call.slice(-2), ['--', UNIT]);
  });

  it('watches it for the time that was asked for', async () => {
    await node.unit(UNIT, running(100), running(200));
    const { output } = await restart({ params: { stable_seconds: 1 } });
    assert.ok((output['waited_seconds'] as number) >= 1);
  });

  it('starts a service that was stopped, and says so', async () => {
    await node.unit(UNIT, stopped, starting, running(200));
    const { output } = await restart();
    assert.equal(output['operation'], 'start');
    assert.equal(output['message'], 'nginx.service was not running; started');
    assert.equal((output['before'] as { active_state: string }).active_state, 'inactive');
    assert.deepEqual(await node.callsButLooks(), [['systemctl', ...RESTART]]);
  });

  it('lists the units that systemd restarts with it, each once', async () => {
    const bound = { RequiredBy: 'a.service b.service', BoundBy: 'b.service', ConsistsOf: 'c.service' };
    await node.unit(UNIT, running(100, bound), running(200, bound));
    assert.deepEqual((await restart()).output['affected_units'], ['a.service', 'b.service', 'c.service']);
  });

  it('warns that the unit file has changed since systemd read it', async () => {
    await node.unit(UNIT, running(100, { NeedDaemonReload: 'yes' }), running(200));
    const { output, stderr } = await restart();
    assert.equal(output['needs_daemon_reload'], true);
    assert.match(stderr, /"level":"warn".*daemon-reload/);
  });

  it('takes a oneshot that did its work as started', async () => {
    const oneshot = { Type: 'oneshot' };
    await node.unit(
      UNIT,
      { ...stopped, ...oneshot },
      { ...starting, ...oneshot },
      { ...stopped, ...oneshot },
    );
    const { output } = await restart({ params: { stable_seconds: 1 } });
    assert.equal((output['after'] as { active_state: string }).active_state, 'inactive');
  });

  it('fails with the last journal lines when the service does not start', async () => {
    await node.unit(UNIT, running(100), starting, failed(1));
    await node.state({ journal: `old\n${'x'.repeat(2000)}\nbind() failed\n` });
    const { error } = await restart({ params: { log_lines: 2 } });
    assert.equal(error?.code, 3);
    assert.equal(error.message, 'nginx.service did not start: it is failed/failed');
    assert.deepEqual(error.details['log'], ['x'.repeat(500), 'bind() failed']);
    assert.equal((error.details['before'] as { main_pid: number }).main_pid, 100);
    assert.equal((error.details['after'] as { exit_status: number }).exit_status, 1);
    assert.equal(typeof error.details['waited_seconds'], 'number');
    assert.deepEqual(await node.callsButLooks(), [
      ['systemctl', ...RESTART],
      ['journalctl', '--no-pager', '--quiet', '--output=short-iso', '--lines=2', `--unit=${UNIT}`],
    ]);
  });

  it('fails with what systemctl status prints where the journal may not be read', async () => {
    await node.unit(UNIT, running(100), failed(1));
    await node.state({ [`units/${UNIT}/status`]: 'one\ntwo\n' });
    assert.deepEqual((await restart()).error?.details['log'], ['one', 'two']);
    assert.deepEqual((await node.callsButLooks()).at(-1), [
      'systemctl',
      'status',
      '--no-pager',
      '--full',
      '--lines=20',
      '--',
      UNIT,
    ]);
  });

  it('tells that systemd gave up, and that a condition was not met', async () => {
    await node.unit(UNIT, running(100), failed(1, { Result: 'start-limit-hit' }));
    assert.match((await restart()).error?.message ?? '', /systemctl reset-failed allows it again$/);
    await node.unit(UNIT, running(100), { ...stopped, ConditionResult: 'no' });
    assert.match((await restart()).error?.message ?? '', /a condition of its unit file is not met$/);
  });

  it('fails when the service becomes active and dies', async () => {
    await node.unit(UNIT, running(100), running(200), running(200), failed(139));
    const { error } = await restart({ params: { stable_seconds: 30 } });
    assert.equal(error?.code, 3);
    assert.equal(
      error.message,
      'nginx.service became active and did not stay so for 30 s: it is failed/failed',
    );
    assert.equal((error.details['after'] as { exit_status: number }).exit_status, 139);
  });

  it('fails when the service becomes active and systemd has to start it again', async () => {
    await node.unit(UNIT, running(100), running(200), running(300, { NRestarts: '1' }));
    const { error } = await restart({ params: { stable_seconds: 30 } });
    assert.equal(error?.code, 3);
    assert.match(error.message, /: it flaps$/);
  });

  it('waits while systemd tries again by itself', async () => {
    const again = running(0, { ActiveState: 'activating', SubState: 'auto-restart', Result: 'exit-code' });
    await node.unit(UNIT, running(100), again, again, running(200));
    assert.equal((await restart()).output['message'], 'nginx.service restarted');
  });

  it('fails when the service is not active in time', async () => {
    await node.unit(UNIT, running(100), starting);
    const { error } = await restart({ params: { timeout_seconds: 1 } });
    assert.equal(error?.code, 3);
    assert.equal(error.message, 'nginx.service did not become active within 1 s: it is activating/start');
  });

  it('fails when systemd dropped the restart', async () => {
    await node.unit(UNIT, running(100), running(100));
    const { error } = await restart();
    assert.equal(error?.code, 3);
    assert.match(error.message, /still runs as before/);
  });

  it('ends when systemctl does not answer, and has changed nothing', async () => {
    await node.unit(UNIT, running(100));
    await node.hang('systemctl-show');
    const { error } = await restart({ params: { timeout_seconds: 1 } });
    assert.equal(error?.code, 3);
    assert.equal(error.message, 'systemctl show did not answer within 1 s; nothing was changed');
    assert.deepEqual(await node.callsButLooks(), []);
  });

  it('ends when systemctl restart does not return, and says what is not known', async () => {
    await node.unit(UNIT, running(100));
    await node.hang('systemctl-restart');
    const { error } = await restart({ params: { timeout_seconds: 1 } });
    assert.equal(error?.code, 3);
    assert.match(error.message, /did not return within 1 s: whether systemd took the job is not known$/);
    assert.equal((error.details['after'] as { main_pid: number }).main_pid, 100);
  });

  it('names the tool that is missing', async () => {
    await node.remove();
    node = await makeScriptedNode(['journalctl']);
    const { error } = await restart();
    assert.equal(error?.code, 2);
    assert.deepEqual(error.details, { missing: 'systemctl' });
  });

  const REFUSED = [
    { what: 'that the node does not have', scene: unknown, code: 2 },
    { what: 'that is masked', scene: { ...stopped, LoadState: 'masked' }, code: 4 },
    { what: 'whose file cannot be read', scene: { ...stopped, LoadState: 'bad-setting' }, code: 4 },
    { what: 'that may not be stopped by hand', scene: running(1, { RefuseManualStop: 'yes' }), code: 4 },
    { what: 'that may not be started by hand', scene: { ...stopped, CanStart: 'no' }, code: 4 },
  ];
  for (const { what, scene, code } of REFUSED) {
    it(`refuses a unit ${what}`, async () => {
      await node.unit(UNIT, scene);
      assert.equal((await restart()).error?.code, code);
      assert.deepEqual(await node.callsButLooks(), []);
    });
  }

  for (const unit of ['--force', 'a/b', 'a*', '[n]ginx', '$(id)', 'a b', "'", 'a\nb']) {
    it(`refuses ${JSON.stringify(unit)}, by its schema and by itself`, async () => {
      assert.ok(paramsFaults('restart-service', { unit }).length > 0);
      assert.equal((await restart({ params: { unit }, unchecked: true })).error?.code, 1);
      assert.deepEqual(await node.calls(), []);
    });
  }

  it('restarts services only', async () => {
    assert.equal((await restart({ params: { unit: 'multi-user.target' } })).error?.code, 1);
  });

  it('says in a dry run what it would do, and does nothing', async () => {
    await node.unit(UNIT, running(100), running(200));
    const before = await node.stateDigest();
    const { output } = await restart({ dryRun: true });
    assert.equal(output['message'], 'Would restart nginx.service, which is active');
    assert.match(
      String(output['commands']),
      /\/systemctl restart --no-block --no-ask-password -- nginx\.service$/,
    );
    assert.equal(output['after'], null);
    assert.equal(await node.stateDigest(), before);
    assert.deepEqual(
      (await node.calls()).map(([command, verb]) => `${command} ${verb}`),
      ['systemctl show'],
    );
  });

  it('says in a dry run that it would start what does not run', async () => {
    await node.unit(UNIT, failed(1), running(200));
    const { output } = await restart({ dryRun: true });
    assert.equal(output['message'], 'Would start nginx.service, which is failed');
  });

  describe('as a user without rights', () => {
    const asNobody = (run: ActionRun = {}): Promise<ActionEnding> => restart({ uid: 65_534, ...run });
    const DENIED = 'Failed to restart nginx.service: Interactive authentication required.\n';
    let command: string;

    before(function () {
      skipUnlessRoot(this);
    });
    beforeEach(async () => {
      command = `${node.path}/bin/systemctl ${RESTART.join(' ')}`;
      await node.unit(UNIT, running(100), running(200));
    });

    it('uses sudo where sudoers allows exactly this', async () => {
      await node.state({ denied: DENIED, sudoers: `${command}\n` });
      const { output } = await asNobody();
      assert.equal(output['privilege'], 'sudo');
      assert.deepEqual(output['commands'], [`sudo -n -- ${command}`]);
      assert.deepEqual(await node.callsButLooks(), [
        ['sudo', '-n', '-l', '--', ...command.split(' ')],
        ['sudo', '-n', '--', ...command.split(' ')],
        ['systemctl', ...RESTART],
      ]);
    });

    it('restarts without sudo where polkit allows it', async () => {
      assert.equal((await asNobody()).output['privilege'], 'none');
    });

    it('names the line that sudoers lacks', async () => {
      await node.state({ denied: DENIED });
      const { error } = await asNobody();
      assert.equal(error?.code, 4);
      assert.equal(error.details['sudoers'], `${SUDOERS} ${command}`);
      assert.ok(error.message.includes(`${SUDOERS} ${command}`));
    });

    it('escapes what sudoers would read otherwise', async () => {
      const unit = String.raw`a:b\x2dc.service`;
      await node.unit(unit, running(100), running(200));
      await node.state({ denied: DENIED });
      const { error } = await asNobody({ params: { unit } });
      assert.ok(String(error?.details['sudoers']).endsWith(String.raw` -- a\:b\\x2dc.service`));
    });

    it('says in a dry run which way it would go', async () => {
      await node.state({ sudoers: `${command}\n` });
      const before = await node.stateDigest();
      assert.deepEqual((await asNobody({ dryRun: true })).output['commands'], [`sudo -n -- ${command}`]);
      assert.equal(await node.stateDigest(), before);
      assert.deepEqual(await node.callsButLooks(), [['sudo', '-n', '-l', '--', ...command.split(' ')]]);
    });

    it('leaves a sudo alone that does not return and cannot be ended', async () => {
      await node.state({ sudoers: `${command}\n` });
      await node.hang('sudo');
      const { error } = await asNobody({ params: { timeout_seconds: 1 } });
      assert.equal(error?.code, 3);
      assert.match(error.message, /did not return within 1 s/);
    });
  });
});
