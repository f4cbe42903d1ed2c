import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { StopReason } from '../../../services/shared/gen/rune/v1/run.js';
import { newId } from '../../../services/shared/messages/ids.js';
import { DEFAULT_NODE_PROTOCOL } from '../../../services/lmm/transports/supervise.js';
import { eventually } from '../../support/eventually.js';
import { sshLink } from '../../support/links.js';
import { findProcesses, isAlive, parentPid } from '../../support/processes.js';
import { commandFor, runPlugin } from '../../support/run-plugin.js';
import { startSshd } from '../../support/sshd.js';
import type { MediatorTask } from '../transports/mediator-process.js';
import { opensshOn, type OpensshOn } from './openssh-on.js';
import { opensshWorld } from './openssh-world.js';

const residentKib = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

describe('the transport openssh', () => {
  const world = opensshWorld();

  const startedRun = async (script: string): Promise<ReturnType<OpensshOn['start']>> => {
    const run = world.on.start(script);
    await eventually(() => run.startedCount() === 1, { label: 'the plugin to start' });
    return run;
  };

  it('runs plugin after plugin over one connection', async () => {
    const before = world.sshd.loginCount();
    for (const word of ['one', 'two', 'three']) assert.equal(await world.on.say(`echo ${word}`), `${word}\n`);
    assert.equal(world.sshd.loginCount(), before + 1);
    assert.equal(world.on.masters().length, 1);
    const { handshakes, open } = world.on.transport.metrics();
    assert.deepEqual({ handshakes, open }, { handshakes: 1, open: 1 });
  });

  it('gives each user and each credential a connection of its own', async () => {
    const before = world.sshd.loginCount();
    assert.equal(await world.on.say('id -un'), 'root\n');
    assert.equal(await world.on.say('id -un', { user: 'rune-test' }), 'rune-test\n');
    assert.equal(world.sshd.loginCount(), before + 2);
  });

  it('makes further connections where sshd allows few sessions on one', async () => {
    const own = await startSshd({ hostKeyTypes: ['ed25519'], maxSessions: 2 });
    const onOwn = await opensshOn(own);
    const words = Array.from({ length: 6 }, (_, index) => `run ${index}`);
    const said = await Promise.all(words.map((word) => onOwn.say(`echo ${word}; sleep 0.3`)));
    assert.deepEqual(
      said,
      words.map((word) => `${word}\n`),
    );
    assert(onOwn.transport.metrics().refusals > 0);
    await onOwn.transport.close();
    await own.stop();
  });

  it('gets a new connection for a run that finds its own dead, before anything was sent', async () => {
    await world.on.say('echo warm');
    for (const pid of world.on.masters()) process.kill(pid, 'SIGKILL');
    assert.equal(await world.on.say('echo again'), 'again\n');
  });

  it('says LOST when the process of the connection is killed while the plugin runs, and goes on', async () => {
    const run = await startedRun('sleep 300');
    for (const pid of world.on.masters()) process.kill(pid, 'SIGKILL');
    const ending = await run.ending;
    assert(ending.kind === 'lost' && ending.started, JSON.stringify(ending));
    assert.match(ending.reason, /the link was lost \(the system's ssh was killed by SIGKILL\)/);
    await eventually(() => findProcesses(run.runId).length === 0, { label: 'the plugin to end on the node' });
    assert.equal(await world.on.say('echo again'), 'again\n');
  });

  it('says LOST when the process of the session is killed while the plugin runs', async () => {
    const run = await startedRun('sleep 300');
    const [session] = world.on
      .processes()
      .filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('exec bash'));
    assert(session !== undefined);
    process.kill(session, 'SIGKILL');
    const ending = await run.ending;
    assert(ending.kind === 'lost' && ending.started, JSON.stringify(ending));
    assert.match(ending.reason, /its ssh was killed by SIGKILL/);
    await eventually(() => findProcesses(run.runId).length === 0, { label: 'the plugin to end on the node' });
  });

  it('says LOST, and why, when sshd is killed while the plugin runs', async () => {
    const own = await startSshd({ hostKeyTypes: ['ed25519'] });
    const onOwn = await opensshOn(own);
    const run = onOwn.start('sleep 300');
    await eventually(() => run.startedCount() === 1, { label: 'the plugin to start' });
    own.signalSessions('SIGKILL');
    const ending = await run.ending;
    assert(ending.kind === 'lost' && ending.started);
    assert.match(ending.reason, /the node closed the connection|the connection broke/);
    await onOwn.transport.close();
    await own.stop();
  });

  it('says LOST when a stopped sshd does not answer', async () => {
    const own = await startSshd({ hostKeyTypes: ['ed25519'] });
    const onOwn = await opensshOn(own, { settings: { keepaliveIntervalMs: 1_000, keepaliveCountMax: 1 } });
    const run = onOwn.start('sleep 300');
    await eventually(() => run.startedCount() === 1, { label: 'the plugin to start' });
    own.signalSessions('SIGSTOP');
    const ending = await run.ending;
    assert(ending.kind === 'lost' && ending.started);
    assert.match(ending.reason, /the node did not answer for 1 s/);
    await onOwn.transport.close();
    await own.stop();
  });

  it('keeps its processes small while a plugin floods a reader that stands still', async () => {
    let bytes = 0;
    const never = new Promise<void>(() => undefined);
    const flood = 'printf -v x %65536s; while :; do echo "$x"; echo "$x" >&2; done';
    const run = runPlugin(world.on.transport, commandFor(world.on.target(), flood, { timeoutMs: 2_000 }), {
      started: () => undefined,
      stdout: (chunk) => {
        bytes += chunk.length;
        return never;
      },
      stderr: () => never,
    });
    await eventually(() => bytes > 0, { label: 'output' });
    let largestKib = 0;
    const look = setInterval(() => {
      for (const pid of world.on.processes().filter(isAlive))
        largestKib = Math.max(largestKib, residentKib(pid) || 0);
    }, 50);
    const ending = await run.ending;
    clearInterval(look);
    assert(ending.kind === 'ended' && ending.stopReason === StopReason.TIMEOUT);
    assert(largestKib > 0 && largestKib < 64 * 1024, `${largestKib} KiB`);
    assert(bytes < 1024 * 1024);
  });

  it('does not connect for a run that was stopped before', async () => {
    const logBefore = world.sshd.log();
    const run = world.on.start('exit 0');
    run.stop(StopReason.CANCEL);
    await assert.rejects(run.ending, { name: 'RUN_CANCELLED' });
    assert.equal(world.sshd.log(), logBefore);
    await eventually(() => world.on.processes().length === 0 || world.on.masters().length === 0, {
      label: 'no connection',
    });
  });

  it('stops waiting for a connection when the run is stopped', async () => {
    world.sshd.signalListener('SIGSTOP');
    try {
      const run = world.on.start('exit 0');
      await eventually(() => world.on.masters().length === 1, { label: 'the connection to be tried' });
      run.stop(StopReason.CANCEL);
      await assert.rejects(run.ending, { name: 'RUN_CANCELLED' });
    } finally {
      world.sshd.signalListener('SIGCONT');
    }
  });

  it('leaves nothing behind: no process, socket, file or directory', async () => {
    const before = readdirSync(world.on.base);
    await Promise.all([
      world.on.say('echo one'),
      world.on.say('echo two', { user: 'rune-test' }),
      world.on.refusal({ credential: 'wrong' }),
      world.on.refusal({ port: 1 }),
    ]);
    assert(world.on.processes().length > 0);
    assert.notDeepEqual(readdirSync(world.on.base), before);
    await world.on.transport.close();
    assert.deepEqual(world.on.processes(), []);
    assert.deepEqual(readdirSync(world.on.base), before);
    await assert.rejects(world.on.say('echo three'), { name: 'SERVICE_SHUTTING_DOWN' });
    assert.deepEqual(readdirSync(world.on.base), before);
  });

  it('makes another directory when the one it had was swept away', async () => {
    await world.on.say('echo one');
    const [directory] = readdirSync(world.on.base).filter((name) => name.startsWith('rune-'));
    await rm(`${world.on.base}/${directory}`, { recursive: true });
    assert.equal(await world.on.say('echo two'), 'two\n');
  });

  it('replaces the process that cleans up after it, should that one end', async () => {
    const keepers = (): number[] => findProcesses(`rune-keeper\0${world.on.base}/`);
    await world.on.say('echo one');
    const [keeper] = keepers();
    assert(keeper !== undefined);
    process.kill(keeper, 'SIGKILL');
    await eventually(() => keepers().length === 0, { label: 'it to end' });
    await world.on.say('echo two', { user: 'rune-test' });
    assert.equal(keepers().length, 1);
  });

  it('ends its connections and removes its directory even if the mediator is killed', async () => {
    const runId = newId();
    const task: MediatorTask = {
      link: sshLink(world.sshd, 'root', 'openssh'),
      settings: DEFAULT_NODE_PROTOCOL,
      runs: [{ runId, script: 'echo ready; sleep 300', changes: {} }],
    };
    const program = new URL('../transports/mediator-process.js', import.meta.url).pathname;
    const mediator = spawn(process.execPath, [program], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, TMPDIR: world.on.base },
    });
    const lines = createInterface(mediator.stdout);
    const ready = new Promise<void>((resolve) => lines.once('line', () => resolve()));
    mediator.stdin.end(JSON.stringify(task));
    await ready;
    const children = world.on.processes().filter((pid) => parentPid(pid) === mediator.pid);
    // The connection, the session, and the one that waits for this moment.
    assert.equal(children.length, 3);
    mediator.kill('SIGKILL');
    await eventually(() => world.on.processes().filter((pid) => pid !== mediator.pid).length === 0, {
      label: 'its processes to end',
    });
    await eventually(() => !readdirSync(world.on.base).some((name) => name.startsWith('rune-')), {
      label: 'its directory to go',
    });
    await eventually(() => findProcesses(runId).length === 0, { label: 'the plugin to end on the node' });
  });
});
