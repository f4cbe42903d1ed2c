import assert from 'node:assert/strict';
import { makeScriptedNode, type ScriptedNode } from '../support/scripted-node.js';
import { paramsFaults, runShippedAction, type ActionEnding, type ActionRun } from './shipped-action.js';
import { failed, running, starting, stopped } from './unit-scenes.js';
import { skipUnlessRoot } from '../support/skip.js';

const UNIT = 'docker.service';
const RESTART = ['systemctl', 'restart', '--no-block', '--no-ask-password', '--', UNIT];
const PS = ['ps', '--quiet', '--no-trunc'];
const FORMAT = '{{.Id}} {{.HostConfig.RestartPolicy.Name}} {{.Config.Image}} {{.Name}}';
const WEB = 'a'.repeat(64);
const JOB = 'b'.repeat(64);
const WEB_LINE = `${WEB} always nginx:1.27 web\n`;
const JOB_LINE = `${JOB} - registry.example:5000/job@sha256:0123 nightly_job\n`;
const NO_DAEMON =
  'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n';
const NO_RIGHT =
  'permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock\n';

describe('the action restart-docker', () => {
  let node: ScriptedNode;
  const restart = (run: ActionRun = {}): Promise<ActionEnding> =>
    runShippedAction('restart-docker', {
      environment: { PATH: node.commandPath },
      ...run,
      params: { stable_seconds: 0, ...run.params },
    });

  beforeEach(async () => {
    node = await makeScriptedNode();
    await node.state({ containers: WEB_LINE + JOB_LINE, 'live-restore': 'false' });
    await node.unit(UNIT, running(100), starting, running(200));
  });
  afterEach(() => node.remove());

  it('restarts the daemon, and tells what ran before and what does not run any more', async () => {
    await node.state({ 'after-restart/containers': WEB_LINE });
    const { output, progress, stderr } = await restart();
    assert.equal(output['message'], 'docker.service restarted; 1 containers that ran before do not run now');
    assert.equal(output['operation'], 'restart');
    assert.equal(output['live_restore'], false);
    assert.deepEqual(output['containers'], [
      { id: 'a'.repeat(12), name: 'web', image: 'nginx:1.27', restart_policy: 'always' },
      {
        id: 'b'.repeat(12),
        name: 'nightly_job',
        image: 'registry.example:5000/job@sha256:0123',
        restart_policy: 'no',
      },
    ]);
    assert.equal(output['containers_total'], 2);
    assert.deepEqual(output['containers_down_after'], ['nightly_job']);
    assert.equal(output['running_after'], 1);
    assert.equal((output['before'] as { main_pid: number }).main_pid, 100);
    assert.equal((output['after'] as { main_pid: number }).main_pid, 200);
    assert.equal(progress.at(-1), 'asking docker for its containers');
    assert.equal(stderr, '');
    assert.deepEqual(await node.callsButLooks(), [
      ['docker', ...PS],
      ['docker', 'container', 'inspect', '--format', FORMAT, '--', WEB, JOB],
      ['docker', 'info', '--format', '{{.LiveRestoreEnabled}}'],
      RESTART,
      ['docker', ...PS],
    ]);
  });

  it('says in a dry run what runs and what would stay down, and does nothing', async () => {
    const before = await node.stateDigest();
    const { output } = await restart({ dryRun: true });
    assert.equal(
      output['message'],
      'Would restart docker.service, which is active; 2 containers run, 1 of them would stay down',
    );
    assert.match(String(output['commands']), / restart --no-block --no-ask-password -- docker\.service$/);
    assert.equal(output['containers_down_after'], null);
    assert.equal(await node.stateDigest(), before);
    assert.deepEqual(
      (await node.calls()).map(([command, verb]) => `${command} ${verb}`),
      ['systemctl show', 'docker ps', 'docker container', 'docker info'],
    );
  });

  it('says in a dry run that containers go on where the daemon restores them', async () => {
    await node.state({ 'live-restore': 'true' });
    const { output } = await restart({ dryRun: true });
    assert.equal(output['live_restore'], true);
    assert.match(String(output['message']), /2 containers run and would go on$/);
  });

  it('says null and why where docker does not tell whether it restores containers', async () => {
    await node.state({ 'live-restore': 'false\nCannot connect' });
    const { output } = await restart({ dryRun: true });
    assert.equal(output['live_restore'], null);
    assert.deepEqual(output['missing'], ['live_restore: docker info ended with status 0: false']);
  });

  it('restarts a daemon without containers', async () => {
    await node.state({ containers: '' });
    const { output } = await restart();
    assert.deepEqual(output['containers'], []);
    assert.deepEqual(output['containers_down_after'], []);
    assert.equal(output['message'], 'docker.service restarted');
  });

  it('lists 256 containers and counts all', async () => {
    const lines = Array.from({ length: 300 }, (_, index) => index.toString(16).padStart(64, '0'));
    await node.state({ containers: lines.map((id) => `${id} always image name-${id.slice(-3)}\n`).join('') });
    const { output } = await restart();
    assert.equal((output['containers'] as object[]).length, 256);
    assert.equal(output['containers_total'], 300);
    assert.deepEqual(output['containers_down_after'], []);
  });

  it('starts a daemon that was stopped, and says so', async () => {
    await node.unit(UNIT, stopped, starting, running(200));
    await node.state({ 'docker-says': NO_DAEMON, 'after-restart/docker-says': '' });
    const { output } = await restart();
    assert.equal(output['message'], 'docker.service was not running; started');
    assert.equal(output['containers'], null);
    assert.deepEqual(output['missing'], ['containers: docker.service is inactive']);
    assert.equal(output['running_after'], 2);
    assert.deepEqual(await node.callsButLooks(), [RESTART, ['docker', ...PS]]);
  });

  it('restarts a daemon that does not answer', async () => {
    await node.state({ 'docker-says': NO_DAEMON, 'after-restart/docker-says': '' });
    const { output } = await restart();
    assert.equal(output['containers'], null);
    assert.match(String(output['missing']), /^containers: docker ps ended with status 1: Cannot connect/);
    assert.equal(output['containers_down_after'], null);
    assert.equal(output['running_after'], 2);
  });

  it('fails when docker does not answer after the restart', async () => {
    await node.hang('docker');
    const { error } = await restart({ params: { timeout_seconds: 1 } });
    assert.equal(error?.code, 3);
    assert.equal(
      error.message,
      'docker.service is active, but docker does not answer: docker ps did not answer within 1 s',
    );
  });

  it('fails with the journal and the containers when the daemon does not start', async () => {
    await node.unit(UNIT, running(100), starting, failed(1));
    await node.state({ journal: 'failed to start daemon\n' });
    const { error } = await restart();
    assert.equal(error?.code, 3);
    assert.equal(error.message, 'docker.service did not start: it is failed/failed');
    assert.deepEqual(error.details['log'], ['failed to start daemon']);
    assert.equal((error.details['containers'] as object[]).length, 2);
  });

  it('fails when the daemon becomes active and dies', async () => {
    await node.unit(UNIT, running(100), running(200), running(200), failed(2));
    const { error } = await restart({ params: { stable_seconds: 30 } });
    assert.equal(error?.code, 3);
    assert.match(error.message, /did not stay so for 30 s/);
  });

  it('ends when systemctl restart does not return', async () => {
    await node.hang('systemctl-restart');
    const { error } = await restart({ params: { timeout_seconds: 1 } });
    assert.equal(error?.code, 3);
    assert.match(error.message, /whether systemd took the job is not known$/);
  });

  for (const tool of ['systemctl', 'docker']) {
    it(`names ${tool} where it is missing`, async () => {
      await node.remove();
      node = await makeScriptedNode(['systemctl', 'docker'].filter((name) => name !== tool));
      const { error } = await restart();
      assert.equal(error?.code, 2);
      assert.deepEqual(error.details, { missing: tool });
      assert.deepEqual(await node.calls(), []);
    });
  }

  it('refuses what is no plain name of a unit', async () => {
    assert.ok(paramsFaults('restart-docker', { unit: '--user' }).length > 0);
    assert.equal((await restart({ params: { unit: '--user' }, unchecked: true })).error?.code, 1);
    assert.deepEqual(await node.calls(), []);
  });

  it('uses another unit on request', async () => {
    const unit = 'snap.docker.dockerd.service';
    await node.unit(unit, running(100), running(200));
    assert.equal((await restart({ params: { unit } })).output['unit'], unit);
  });

  describe('as a user without rights', () => {
    const asNobody = (run: ActionRun = {}): Promise<ActionEnding> => restart({ uid: 65_534, ...run });

    before(function () {
      skipUnlessRoot(this);
    });
    beforeEach(() => node.state({ 'docker-says': NO_RIGHT }));

    it('asks docker by sudo where sudoers allows it', async () => {
      const docker = `${node.path}/bin/docker`;
      await node.state({
        sudoers: [
          `${node.path}/bin/${RESTART.join(' ')}`,
          `${docker} ${PS.join(' ')}`,
          `${docker} container inspect --format ${FORMAT} -- ${WEB} ${JOB}`,
          `${docker} info --format {{.LiveRestoreEnabled}}\n`,
        ].join('\n'),
      });
      const { output } = await asNobody();
      assert.equal((output['containers'] as object[]).length, 2);
      assert.deepEqual(output['containers_down_after'], []);
      assert.equal(output['privilege'], 'sudo');
    });

    it('restarts without knowing the containers where it may not ask docker', async () => {
      const { output } = await asNobody();
      assert.equal(output['containers'], null);
      assert.equal(output['containers_down_after'], null);
      const missing = output['missing'] as string[];
      assert.match(missing[0] ?? '', /^containers: docker ps ended with status 1: permission denied/);
      assert.match(
        missing[1] ?? '',
        /^containers_down_after: docker ps ended with status 1: permission denied/,
      );
    });

    it('names the line that sudoers lacks', async () => {
      await node.state({ denied: 'Failed to restart docker.service: Access denied\n' });
      const { error } = await asNobody();
      assert.equal(error?.code, 4);
      assert.equal(
        error.details['sudoers'],
        `nobody ALL=(root) NOPASSWD: ${node.path}/bin/${RESTART.join(' ')}`,
      );
    });
  });
});
