import assert from 'node:assert/strict';
import { makeScriptedNode, type ScriptedNode } from '../support/scripted-node.js';
import { paramsFaults, runShippedAction, type ActionEnding, type ActionRun } from './shipped-action.js';
import { failed, running, starting, stopped } from './unit-scenes.js';
import { skipUnlessRoot } from '../support/skip.js';

describe('the action service-status', () => {
  let node: ScriptedNode;
  const statusOf = (unit: string, run: ActionRun = {}): Promise<ActionEnding> =>
    runShippedAction('service-status', {
      environment: { PATH: node.commandPath },
      ...run,
      params: { unit, ...run.params },
    });

  beforeEach(async () => {
    node = await makeScriptedNode();
  });
  afterEach(() => node.remove());

  it('reports a unit that runs, with numbers as numbers', async () => {
    await node.unit(
      'nginx.service',
      running(4711, { MemoryCurrent: '1048576', TasksCurrent: '7', NRestarts: '2' }),
    );
    await node.state({ journal: 'one\ntwo "quoted"\nthree\n' });
    const { output, stderr } = await statusOf('nginx', { params: { log_lines: 2 } });
    assert.deepEqual(output, {
      message: 'nginx.service is active',
      unit: 'nginx.service',
      description: 'A service of the test',
      load_state: 'loaded',
      unit_file_state: 'enabled',
      active: true,
      state: {
        active_state: 'active',
        sub_state: 'running',
        result: 'success',
        main_pid: 4711,
        exit_status: 0,
        restarts: 2,
        since: '2026-11-22T03:00:00Z',
      },
      needs_daemon_reload: false,
      memory_bytes: 1_048_576,
      tasks: 7,
      cpu_seconds: 1.234,
      log: ['two "quoted"', 'three'],
    });
    assert.equal(stderr, '');
  });

  it('says null where systemd does not account', async () => {
    await node.unit('nginx.service', running(1));
    const { output } = await statusOf('nginx.service');
    assert.equal(output['memory_bytes'], null);
    assert.equal(output['tasks'], null);
  });

  it('reports a failed unit as data', async () => {
    await node.unit('nginx.service', failed(203));
    const { output } = await statusOf('nginx.service');
    assert.equal(output['active'], false);
    assert.deepEqual(output['state'], {
      active_state: 'failed',
      sub_state: 'failed',
      result: 'exit-code',
      main_pid: null,
      exit_status: 203,
      restarts: 0,
      since: '2026-11-22T03:01:00Z',
    });
  });

  it('dates a unit that is starting', async () => {
    await node.unit('nginx.service', starting);
    const { output } = await statusOf('nginx.service');
    assert.equal((output['state'] as { since: string }).since, '2026-11-22T03:02:00Z');
  });

  it('reports a unit that the node does not have as data', async () => {
    const { output } = await statusOf('nosuch');
    assert.equal(output['load_state'], 'not-found');
    assert.equal(output['message'], 'nosuch.service is inactive: systemd says not-found');
    assert.deepEqual(
      (await node.calls()).map(([command, verb]) => `${command} ${verb}`),
      ['systemctl show'],
    );
  });

  it('takes the log from systemctl status where the journal may not be read', async () => {
    await node.unit('backup.timer', stopped);
    await node.state({ 'units/backup.timer/status': 'status line\n' });
    assert.deepEqual((await statusOf('backup.timer')).output['log'], ['status line']);
  });

  it('leaves the log out on request', async () => {
    await node.unit('nginx.service', running(1));
    await node.state({ journal: 'line\n' });
    assert.deepEqual((await statusOf('nginx', { params: { log_lines: 0 } })).output['log'], []);
    assert.equal((await node.calls()).length, 1);
  });

  it('keeps to a fixed set of calls and puts the unit behind --', async () => {
    await node.unit('nginx.service', running(1));
    await node.state({ journal: 'line\n' });
    await statusOf('nginx');
    const [show, journal, ...more] = await node.calls();
    assert.deepEqual(show?.slice(0, 3), ['systemctl', 'show', '--no-pager']);
    assert.match(show?.[3] ?? '', /^--property=[A-Za-z,]+$/);
    assert.deepEqual(show?.slice(4), ['--', 'nginx.service']);
    assert.deepEqual(journal, [
      'journalctl',
      '--no-pager',
      '--quiet',
      '--output=short-iso',
      '--lines=20',
      '--unit=nginx.service',
    ]);
    assert.deepEqual(more, []);
  });

  it('gives each unit name the suffix that systemctl would give it', async () => {
    for (const unit of ['php8.2-fpm', String.raw`a\x2db`, 'getty@tty1', 'a:b_c']) {
      assert.equal((await statusOf(unit)).output['unit'], `${unit}.service`);
    }
    assert.equal((await statusOf('dev-sda1.device')).output['unit'], 'dev-sda1.device');
  });

  for (const unit of ['--help', '-.mount', '../x', 'a b', 'a*', '$(id)', 'a;b', 'a\nb', '']) {
    it(`refuses ${JSON.stringify(unit)}, by its schema and by itself`, async () => {
      assert.equal(paramsFaults('service-status', { unit }).length > 0, true);
      assert.equal((await statusOf(unit, { unchecked: true })).error?.code, 1);
      assert.deepEqual(await node.calls(), []);
    });
  }

  it('asks for the instance of a template', async () => {
    const { error } = await statusOf('getty@.service');
    assert.equal(error?.code, 1);
    assert.match(error.message, /such as getty@name.service$/);
  });

  it('changes nothing and says so in a dry run', async () => {
    await node.unit('nginx.service', running(1));
    const before = await node.stateDigest();
    assert.equal((await statusOf('nginx', { dryRun: true })).output['active'], true);
    assert.equal(await node.stateDigest(), before);
  });

  it('ends when systemctl does not answer', async () => {
    await node.hang('systemctl-show');
    const { error } = await statusOf('nginx', { params: { timeout_seconds: 1 } });
    assert.equal(error?.code, 3);
    assert.equal(error.message, 'systemctl show did not answer within 1 s; nothing was changed');
  });

  it('goes on without the log when the journal does not answer', async () => {
    await node.unit('nginx.service', running(1));
    await node.state({ 'units/nginx.service/status': 'status line\n' });
    await node.hang('journalctl');
    const { output } = await statusOf('nginx', { params: { timeout_seconds: 1 } });
    assert.deepEqual(output['log'], ['status line']);
    assert.deepEqual(output['missing'], ['log: journalctl did not answer within 1 s']);
  });

  it('names systemctl where it is missing', async () => {
    await node.remove();
    node = await makeScriptedNode(['journalctl']);
    const { error } = await statusOf('nginx');
    assert.equal(error?.code, 2);
    assert.deepEqual(error.details, { missing: 'systemctl' });
  });

  it('says that systemd does not run', async () => {
    await node.state({
      'systemctl-says': "System has not been booted with systemd as init system (PID 1). Can't operate.\n",
    });
    const { error } = await statusOf('nginx');
    assert.equal(error?.code, 2);
    assert.equal(error.details['missing'], 'systemd');
  });

  it('runs in a UTF-8 locale and as another user', async function () {
    skipUnlessRoot(this);
    await node.unit('nginx.service', running(1));
    await node.state({ journal: 'gr\u00fc\u00df dich\n' });
    const environment = { PATH: node.commandPath, LC_ALL: 'C.UTF-8' };
    assert.deepEqual((await statusOf('nginx', { environment, uid: 65_534 })).output['log'], [
      'gr\u00fc\u00df dich',
    ]);
  });
});
