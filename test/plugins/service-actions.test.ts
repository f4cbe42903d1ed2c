import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { RunState, type Outcome } from '../../services/shared/gen/rune/v1/run.js';
import { runAction, type Ran } from '../support/run-action.js';
import { makeScriptedNode, type ScriptedNode } from '../support/scripted-node.js';
import { skip } from '../support/skip.js';
import { startWorld, type World } from '../support/world.js';
import { runShippedAction } from './shipped-action.js';
import { running, starting } from './unit-scenes.js';

describe('the actions on services, through both services over a real sshd', () => {
  let node: ScriptedNode;
  let world: World;
  const run = (
    action: string,
    target: string,
    params: Record<string, unknown>,
    dryRun = false,
  ): Promise<Ran> => runAction(world.client, { action, targets: { nodes: [target] }, params, dryRun });
  const outputOf = (ran: Ran, target: string): Record<string, unknown> => {
    const outcome: Outcome | undefined = ran.outcomes.get(target);
    assert.equal(outcome?.error, undefined, JSON.stringify(outcome?.error?.errorData));
    assert.equal(outcome?.state, RunState.SUCCEEDED);
    return outcome.result?.output ?? {};
  };

  before(async () => {
    node = await makeScriptedNode();
    // The plugin gets the PATH of the login, and bash reads this file at a login by SSH.
    world = await startWorld({ sshd: { loginFiles: { '.bashrc': `export PATH=${node.commandPath}\n` } } });
  });
  after(async () => {
    await world?.stop();
    await node?.remove();
  });
  beforeEach(async () => {
    await node.unit('nginx.service', running(100), starting, running(200));
    await node.unit('docker.service', running(100), starting, running(200));
    await node.unit('nomad.service', running(100), starting, running(200));
    await node.state({
      journal: 'one\n',
      containers: `${'a'.repeat(64)} always nginx web\n`,
      'live-restore': 'false',
      'nomad-node':
        'ID = 6b1d9f50\nStatus = ready\nAllocations\n5b1e7a3c  6b1d9f50  api  7  run  running  2h ago  2h ago\n',
      denied: 'Interactive authentication required.\n',
      sudoers: ['nginx', 'docker', 'nomad']
        .map((unit) => `${node.path}/bin/systemctl restart --no-block --no-ask-password -- ${unit}.service\n`)
        .join(''),
    });
  });

  for (const target of ['root', 'user']) {
    const privilege = target === 'root' ? 'root' : 'sudo';

    it(`service-status as ${target}`, async () => {
      const output = outputOf(await run('service-status', target, { unit: 'nginx' }), target);
      assert.equal(output['active'], true);
      assert.deepEqual(output['log'], ['one']);
    });

    it(`restart-service as ${target}, with its progress`, async () => {
      const ran = await run('restart-service', target, { unit: 'nginx', stable_seconds: 0 });
      const output = outputOf(ran, target);
      assert.equal(output['privilege'], privilege);
      assert.equal((output['after'] as { main_pid: number }).main_pid, 200);
      const progress = ran.events.flatMap(({ event }) =>
        event?.$case === 'progress' ? [event.value.message] : [],
      );
      assert.equal(progress[0], 'nginx.service is active; asking systemd for a restart');
    });

    it(`restart-docker as ${target}`, async () => {
      const output = outputOf(await run('restart-docker', target, { stable_seconds: 0 }), target);
      assert.equal(output['privilege'], privilege);
      assert.equal(output['containers_total'], 1);
      assert.deepEqual(output['containers_down_after'], []);
    });

    it(`restart-nomad as ${target}`, async () => {
      const output = outputOf(await run('restart-nomad', target, { stable_seconds: 0 }), target);
      assert.equal(output['privilege'], privilege);
      assert.equal(output['allocations_total'], 1);
      assert.deepEqual(output['allocations_down_after'], []);
    });
  }

  for (const action of ['restart-service', 'restart-docker', 'restart-nomad']) {
    it(`${action} dry, which changes nothing`, async () => {
      const before = await node.stateDigest();
      const params = action === 'restart-service' ? { unit: 'nginx' } : {};
      const output = outputOf(await run(action, 'user', params, true), 'user');
      assert.match(String(output['message']), /^Would restart /);
      assert.equal(await node.stateDigest(), before);
    });
  }

  it('a failure, with its details', async () => {
    await node.state({ sudoers: '' });
    const { outcomes } = await run('restart-service', 'user', { unit: 'nginx' });
    const error = outcomes.get('user')?.error?.errorData;
    assert.equal(error?.data?.exitCode, 4);
    assert.match(JSON.stringify(error), /rune-test ALL=\(root\) NOPASSWD: /);
  });
});

describe('the actions on services, on a real systemd', () => {
  const UNIT = 'rune-test-restart.service';
  const RUNNER = 'systemd-run';
  const bootedWith = readFileSync('/proc/1/comm', 'utf8').trim();
  before(function () {
    if (bootedWith === 'systemd' && process.getuid?.() === 0) return;
    skip(this, `it needs root and systemd as process 1; process 1 is ${bootedWith}`);
  });
  after(() => {
    if (bootedWith === 'systemd') spawnSync('systemctl', ['stop', UNIT]);
  });

  it('restarts a unit and reports its state', async () => {
    const started = spawnSync(RUNNER, [`--unit=${UNIT}`, '--property=Type=exec', 'sleep', '86413']);
    assert.equal(started.status, 0, String(started.stderr));
    const { output } = await runShippedAction('restart-service', {
      params: { unit: UNIT, stable_seconds: 1 },
    });
    assert.equal(output['operation'], 'restart');
    const { main_pid: before } = output['before'] as { main_pid: number };
    const { main_pid: after } = output['after'] as { main_pid: number };
    assert.ok(before > 1 && after > 1 && before !== after);
    const status = await runShippedAction('service-status', { params: { unit: UNIT } });
    assert.equal(status.output['active'], true);
  });
});
