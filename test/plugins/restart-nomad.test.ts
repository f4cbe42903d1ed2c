import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeScriptedNode, type ScriptedNode } from '../support/scripted-node.js';
import { paramsFaults, runShippedAction, type ActionEnding, type ActionRun } from './shipped-action.js';
import { failed, running, starting, stopped } from './unit-scenes.js';
import { skipUnlessRoot } from '../support/skip.js';

const UNIT = 'nomad.service';
const RESTART = ['systemctl', 'restart', '--no-block', '--no-ask-password', '--', UNIT];
const STATUS = ['nomad', 'node', 'status', '-self', '-short'];
const REFUSED = 'Error querying agent info: Get "http://127.0.0.1:4646/v1/agent/self": connection refused\n';
const NO_RIGHT = 'Error querying agent info: Unexpected response code: 403 (Permission denied)\n';

/** What nomad prints of a client with two allocations that run and one that is complete. */
const clientText = (status: string, api: string): string =>
  [
    'ID              = 6b1d9f50-1d0b-4f1c-9c1e-0f2a4f3b2c11',
    'Name            = worker07',
    'Class           = <none>',
    'DC              = dc1',
    'Drain           = false',
    'Eligibility     = eligible',
    `Status          = ${status}`,
    'CSI Controllers = <none>',
    'Driver Status   = docker,exec',
    '',
    'Allocations',
    'ID        Node ID   Task Group  Version  Desired  Status    Created     Modified',
    `5b1e7a3c  6b1d9f50  api         7        run      ${api}   2h15m ago   2h14m ago`,
    '77aa1c02  6b1d9f50  web front   0        stop     running   1d2h ago    1m10s ago',
    'c0ffee00  6b1d9f50  batch       3        run      complete  3h1m ago    3h ago',
    '',
  ].join('\n');

describe('the action restart-nomad', () => {
  let node: ScriptedNode;
  const restart = (run: ActionRun = {}): Promise<ActionEnding> =>
    runShippedAction('restart-nomad', {
      environment: { PATH: node.commandPath },
      ...run,
      params: { stable_seconds: 0, ...run.params },
    });

  beforeEach(async () => {
    node = await makeScriptedNode();
    await node.state({ 'nomad-node': clientText('ready', 'running') });
    await node.unit(UNIT, running(100), starting, running(200));
  });
  afterEach(() => node.remove());

  it('restarts the agent, and tells what ran before and what does not run any more', async () => {
    await node.state({ 'after-restart/nomad-node': clientText('ready', 'failed') });
    const { output, progress, stderr } = await restart();
    assert.equal(output['message'], 'nomad.service restarted; 1 allocations that ran before do not run now');
    assert.deepEqual(output['allocations'], [
      { id: '5b1e7a3c', task_group: 'api', job_version: 7, desired_status: 'run' },
      { id: '77aa1c02', task_group: 'web front', job_version: 0, desired_status: 'stop' },
    ]);
    assert.equal(output['allocations_total'], 2);
    assert.deepEqual(output['allocations_down_after'], ['5b1e7a3c']);
    assert.equal(output['running_after'], 1);
    const client = {
      id: '6b1d9f50-1d0b-4f1c-9c1e-0f2a4f3b2c11',
      name: 'worker07',
      status: 'ready',
      eligibility: 'eligible',
      drain: 'false',
    };
    assert.deepEqual(output['client_before'], client);
    assert.deepEqual(output['client_after'], client);
    assert.equal(progress.at(-1), 'asking nomad for its client');
    assert.equal(stderr, '');
    assert.deepEqual(await node.callsButLooks(), [STATUS, RESTART, STATUS]);
  });

  it('says in a dry run what runs, and does nothing', async () => {
    const before = await node.stateDigest();
    const { output } = await restart({ dryRun: true });
    assert.equal(
      output['message'],
      'Would restart nomad.service, which is active; 2 allocations run on this client',
    );
    assert.match(String(output['commands']), / restart --no-block --no-ask-password -- nomad\.service$/);
    assert.equal(output['client_after'], null);
    assert.equal(await node.stateDigest(), before);
    assert.deepEqual(await node.callsButLooks(), [STATUS]);
  });

  it('restarts a client without allocations', async () => {
    await node.state({ 'nomad-node': clientText('ready', 'failed').replaceAll('running', 'complete') });
    const { output } = await restart();
    assert.deepEqual(output['allocations'], []);
    assert.deepEqual(output['allocations_down_after'], []);
  });

  it('starts an agent that was stopped, and says so', async () => {
    await node.unit(UNIT, stopped, starting, running(200));
    await node.state({ 'nomad-says': REFUSED, 'after-restart/nomad-says': '' });
    const { output } = await restart();
    assert.equal(output['message'], 'nomad.service was not running; started');
    assert.equal(output['allocations'], null);
    assert.deepEqual(output['missing'], ['allocations: nomad.service is inactive']);
    assert.equal(output['running_after'], 2);
    assert.deepEqual(await node.callsButLooks(), [RESTART, STATUS]);
  });

  it('restarts an agent that does not answer', async () => {
    await node.state({ 'nomad-says': REFUSED, 'after-restart/nomad-says': '' });
    const { output } = await restart();
    assert.match(
      String(output['missing']),
      /^allocations: nomad node status ended with status 1: Error querying/,
    );
    assert.equal(output['allocations_down_after'], null);
    assert.equal((output['client_after'] as { status: string }).status, 'ready');
  });

  it('fails when the client does not become ready', async () => {
    await node.state({ 'after-restart/nomad-node': clientText('initializing', 'running') });
    const { error } = await restart({ params: { timeout_seconds: 1 } });
    assert.equal(error?.code, 3);
    assert.equal(
      error.message,
      'nomad.service is active, but its client is not ready: the client is initializing',
    );
    assert.equal((error.details['allocations'] as object[]).length, 2);
  });

  it('fails when nomad hangs before and after the restart', async () => {
    await node.hang('nomad');
    const { error } = await restart({ params: { timeout_seconds: 1 } });
    assert.equal(error?.code, 3);
    assert.match(error.message, /not ready: nomad node status did not answer within 1 s$/);
  });

  for (const says of [NO_RIGHT, 'Nomad not running in client mode\n']) {
    it(`restarts an agent that tells nothing of a client: ${says.trim()}`, async () => {
      await node.state({ 'nomad-says': says });
      const { output } = await restart();
      assert.equal(output['message'], 'nomad.service restarted');
      assert.equal(output['allocations'], null);
      assert.equal(output['client_after'], null);
      assert.equal((output['missing'] as string[]).length, 2);
    });
  }

  it('asks another address, and gives the token to nomad by its environment alone', async () => {
    const params = { address: 'https://127.0.0.1:4747', ca_cert: '/etc/ca.pem', token: 'canary-token' };
    const { output } = await restart({ params });
    const asked = [...STATUS, '-address=https://127.0.0.1:4747', '-ca-cert=/etc/ca.pem'];
    assert.deepEqual(await node.callsButLooks(), [asked, RESTART, asked]);
    assert.equal(await readFile(join(node.path, 'nomad-tokens'), 'utf8'), 'canary-token\ncanary-token\n');
    assert.ok(!JSON.stringify(output).includes('canary'));
  });

  for (const params of [{ unit: '--user' }, { address: '-x' }, { ca_cert: '-x' }, { token: 'a b' }]) {
    it(`refuses ${JSON.stringify(params)}`, () => {
      assert.ok(paramsFaults('restart-nomad', params).length > 0);
    });
  }

  it('fails with the journal and the allocations when the agent does not start', async () => {
    await node.unit(UNIT, running(100), starting, failed(1));
    await node.state({ journal: 'failed to start agent\n' });
    const { error } = await restart();
    assert.equal(error?.code, 3);
    assert.deepEqual(error.details['log'], ['failed to start agent']);
    assert.equal((error.details['allocations'] as object[]).length, 2);
  });

  it('fails when the agent becomes active and dies', async () => {
    await node.unit(UNIT, running(100), running(200), running(200), failed(2));
    const { error } = await restart({ params: { stable_seconds: 30 } });
    assert.match(error?.message ?? '', /did not stay so for 30 s/);
  });

  it('ends when systemctl restart does not return', async () => {
    await node.hang('systemctl-restart');
    const { error } = await restart({ params: { timeout_seconds: 1 } });
    assert.match(error?.message ?? '', /whether systemd took the job is not known$/);
  });

  for (const tool of ['systemctl', 'nomad']) {
    it(`names ${tool} where it is missing`, async () => {
      await node.remove();
      node = await makeScriptedNode(['systemctl', 'nomad'].filter((name) => name !== tool));
      const { error } = await restart();
      assert.equal(error?.code, 2);
      assert.deepEqual(error.details, { missing: tool });
      assert.deepEqual(await node.calls(), []);
    });
  }

  it('names the line that sudoers lacks', async function () {
    skipUnlessRoot(this);
    await node.state({ denied: 'Failed to restart nomad.service: Access denied\n' });
    const { error } = await restart({ uid: 65_534 });
    assert.equal(error?.code, 4);
    assert.equal(
      error.details['sudoers'],
      `nobody ALL=(root) NOPASSWD: ${node.path}/bin/${RESTART.join(' ')}`,
    );
  });
});
