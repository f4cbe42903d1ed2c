import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { SshSettings } from '../../../services/lmm/transports/ssh/ssh-settings.js';
import type { SshChannel } from '../../../services/lmm/transports/ssh/ssh-channel.js';
import { RuneError } from '../../../services/shared/errors.js';
import { eventually } from '../../support/eventually.js';
import { openServer, type OpenServer } from '../../support/open-server.js';
import { startSshd, type SshdOptions, type TestSshd } from '../../support/sshd.js';
import { poolOn, type PoolOn } from './pool-on.js';

/** A channel whose command runs until its stdin ends, once it has said that it runs. */
async function openLong(on: PoolOn, timeoutMs?: number): Promise<SshChannel> {
  const channel = await on.open('echo on; exec cat', on.target(), timeoutMs);
  channel.stderr.resume();
  await new Promise((resolve) => channel.stdout.once('data', resolve));
  channel.stdout.resume();
  return channel;
}

async function endLong(channel: SshChannel): Promise<void> {
  channel.stdin.end();
  await channel.closed;
}

describe('the pool of SSH connections', () => {
  let sshd: TestSshd;
  let on: PoolOn;
  const begin = async (options: SshdOptions = {}, settings: Partial<SshSettings> = {}): Promise<void> => {
    sshd = await startSshd({ hostKeyTypes: ['ed25519'], ...options });
    on = await poolOn(sshd, settings);
  };
  const servers: OpenServer[] = [];
  /** A loopback port where `behave` meets each connection; it ends with the test. */
  const listen = async (behave: (socket: Socket) => void): Promise<number> => {
    const server = await openServer(createServer(behave));
    servers.push(server);
    return server.port;
  };
  afterEach(async () => {
    await on.pool.close();
    await sshd.stop();
    for (const server of servers.splice(0)) await server.close();
  });
  const metric = (name: keyof ReturnType<PoolOn['pool']['metrics']>) => on.pool.metrics()[name];
  const until = (name: Parameters<typeof metric>[0], value: number) =>
    eventually(() => metric(name) === value, { label: `${name} to be ${value}, not ${metric(name)}` });

  it('runs command after command over one connection', async () => {
    await begin();
    for (let i = 0; i < 20; i += 1) assert.equal((await on.say(`echo ${i}`)).stdout, `${i}\n`);
    assert.equal(sshd.loginCount(), 1);
    assert.equal(metric('handshakes'), 1);
  });

  it('makes one connection for runs that start together and fit on it', async () => {
    await begin();
    const said = await Promise.all([1, 2, 3, 4].map((i) => on.say(`echo ${i}`)));
    assert.deepEqual(
      said.map((each) => each.stdout),
      ['1\n', '2\n', '3\n', '4\n'],
    );
    assert.equal(sshd.loginCount(), 1);
  });

  it('shares nothing between users, credentials or pins', async () => {
    await begin();
    await on.say('true');
    await on.say('true', on.target({ user: sshd.users.unprivileged }));
    await on.say('true', on.target({ pins: [...sshd.hostKeyFingerprints] }));
    assert.equal(sshd.loginCount(), 3);
    assert.equal(metric('nodes'), 3);
  });

  it('runs 64 at once on one node over 16 connections at most, and never more than 4 handshakes at a time', async () => {
    await begin();
    let connectingMax = 0;
    const watch = setInterval(() => (connectingMax = Math.max(connectingMax, metric('connecting'))), 1);
    const channels = await Promise.all(Array.from({ length: 64 }, () => openLong(on)));
    clearInterval(watch);
    assert.equal(metric('channels'), 64);
    assert.equal(metric('open'), 16);
    assert.equal(metric('refusals'), 0);
    assert.equal(sshd.loginCount(), 16);
    assert(connectingMax <= 4, `${connectingMax} handshakes at once`);
    await Promise.all(channels.map(endLong));
    await until('channels', 0);
  });

  it('serves 64 short runs at once without a connection for each four', async () => {
    await begin();
    const said = await Promise.all(Array.from({ length: 64 }, (_, i) => on.say(`echo ${i}`)));
    assert.deepEqual(
      said.map((each) => each.stdout),
      Array.from({ length: 64 }, (_, i) => `${i}\n`),
    );
    assert(sshd.loginCount() < 16, `${sshd.loginCount()} connections`);
  });

  it('says after the connect timeout that a node is full, and counts who waits', async () => {
    await begin({}, { connectionsPerNodeMax: 1, growAfterMs: 0 });
    const channels = await Promise.all([1, 2, 3, 4].map(() => openLong(on)));
    const refused = on.refusal(on.target(), 200);
    await until('waiting', 1);
    const error = await refused;
    assert.equal(error.name, 'MEDIATOR_FULL');
    assert.match(error.message, /runs 4 plugins on web01 over 1 connections, and none ended within 0\.2 s/);
    const waiting = openLong(on);
    await until('waiting', 1);
    await endLong(channels[0] ?? assert.fail());
    await endLong(await waiting);
    await Promise.all(channels.slice(1).map(endLong));
  });

  it('refuses at once who would wait in a queue that is full', async () => {
    await begin({}, { connectionsPerNodeMax: 1, waitersMax: 1 });
    const first = on.open('true');
    assert.equal((await on.refusal(on.target())).name, 'MEDIATOR_FULL');
    (await first).destroy();
  });

  it('forgets who stops waiting, before and while a channel is opened', async () => {
    await begin({}, { connectionsPerNodeMax: 1 });
    const channels = await Promise.all([1, 2, 3, 4].map(() => openLong(on)));
    const stop = new AbortController();
    const waiting = on.pool.open(on.target(), 'true', { timeoutMs: 10_000, signal: stop.signal });
    await until('waiting', 1);
    stop.abort(new RuneError('RUN_CANCELLED', 'stopped'));
    await assert.rejects(waiting, { name: 'RUN_CANCELLED' });
    assert.equal(metric('waiting'), 0);
    await Promise.all(channels.map(endLong));
    await until('channels', 0);

    sshd.signalSessions('SIGSTOP');
    const late = new AbortController();
    const opening = on.pool.open(on.target(), 'exec cat', { timeoutMs: 10_000, signal: late.signal });
    await until('channels', 1);
    late.abort(new RuneError('RUN_CANCELLED', 'stopped'));
    await assert.rejects(opening, { name: 'RUN_CANCELLED' });
    sshd.signalSessions('SIGCONT');
    await until('channels', 0);
    await eventually(() => sshd.descendants().length === 1, { label: 'the command to end on the node' });
    assert.equal(metric('idle'), 1);
  });

  it('works with MaxSessions 2: asks again elsewhere, and nobody sees a refusal', async () => {
    await begin({ maxSessions: 2 });
    const channels = await Promise.all(Array.from({ length: 12 }, () => openLong(on)));
    assert(metric('refusals') > 0);
    assert(metric('open') >= 6, `${metric('open')} connections for 12 sessions of which 2 fit on one`);
    await Promise.all(channels.map(endLong));
    assert.equal((await on.say('echo again')).stdout, 'again\n');
  });

  it('says that sshd refuses sessions where it grants none', async () => {
    await begin({ maxSessions: 0 });
    const error = await on.refusal(on.target(), 500);
    assert.equal(error.name, 'NODE_CHANNEL_REFUSED');
    assert.match(error.message, /sshd on web01 refused \d+ times within 0\.5 s to open a session/);
  });

  it('gets through MaxStartups 2:100:2, which drops every third connection in the making', async () => {
    await begin({ maxStartups: '2:100:2' }, { channelsPerConnectionMax: 1, growAfterMs: 0 });
    const channels = await Promise.all(Array.from({ length: 12 }, () => openLong(on)));
    assert.equal(metric('channels'), 12);
    await Promise.all(channels.map(endLong));
  });

  it('limits the handshakes to one address and port over all its users', async () => {
    await begin({}, { handshakesPerNodeMax: 1 });
    let connectingMax = 0;
    const watch = setInterval(() => (connectingMax = Math.max(connectingMax, metric('connecting'))), 1);
    const users = ['root', sshd.users.unprivileged];
    await Promise.all(users.map((user) => on.say('true', on.target({ user }))));
    clearInterval(watch);
    assert.equal(connectingMax, 1);
    assert.equal(sshd.loginCount(), 2);
  });

  it('lets no more probes at a time to one address than handshakes', async () => {
    await begin({}, { handshakesPerNodeMax: 2 });
    let reached = 0;
    const port = await listen(() => (reached += 1));
    const signal = new AbortController().signal;
    const names = await Promise.all(
      [1, 2, 3, 4, 5].map(async (i) => {
        // Those that wait give up before the first ones make room.
        const timeoutMs = i <= 2 ? 1_000 : 100;
        const result = await on.pool.probe(on.target({ port, node: `n${i}` }), { timeoutMs, signal });
        return result.ok ? 'connected' : result.error.name;
      }),
    );
    assert.equal(reached, 2);
    assert.deepEqual(names.toSorted(), [
      'MEDIATOR_FULL',
      'MEDIATOR_FULL',
      'MEDIATOR_FULL',
      'NODE_CONNECT_TIMEOUT',
      'NODE_CONNECT_TIMEOUT',
    ]);
    assert.equal(metric('handshakes'), 2);
  });

  it('makes room for another node by ending the connection that was idle longest', async () => {
    await begin({}, { connectionsMax: 2 });
    await on.say('true', on.target({ node: 'a' }));
    await on.say('true', on.target({ node: 'b' }));
    await on.say('true', on.target({ node: 'c' }));
    assert.equal(metric('open'), 2);
    assert.equal(metric('expired'), 1);
    await on.say('true', on.target({ node: 'b' }));
    assert.equal(sshd.loginCount(), 3);
  });

  it('ends a connection that was idle long enough', async () => {
    await begin({}, { idleMs: 50 });
    await on.say('true');
    await until('open', 0);
    assert.equal(metric('nodes'), 0);
    assert.equal(metric('expired'), 1);
    assert.equal(metric('evictions'), 0);
    await eventually(() => sshd.sessionPids().length === 0, { label: 'sshd to see the end' });
  });

  it('gives an old connection no new channel, and lets its last one finish', async () => {
    await begin({}, { ageMsMax: 1 });
    const channel = await openLong(on);
    assert.equal((await on.say('echo other')).stdout, 'other\n');
    assert.equal(sshd.loginCount(), 2);
    channel.stdin.end('still here\n');
    assert.deepEqual(await channel.ended, { kind: 'exited', exitCode: 0, signal: null });
  });

  it('tells a run whose sshd is killed that its link is lost, whatever it printed before', async () => {
    await begin();
    const channel = await openLong(on);
    sshd.signalSessions('SIGKILL');
    const end = await channel.ended;
    assert.equal(end.kind, 'lost');
    assert.match(end.kind === 'lost' ? end.reason : '', /closed the connection|ECONNRESET/);
    await until('open', 0);
    assert.equal(metric('evictions'), 1);
    assert.equal((await on.say('echo again')).stdout, 'again\n');
  });

  it('detects by keepalive that sshd is stopped, and says for how long it did not answer', async () => {
    await begin({}, { keepaliveIntervalMs: 100, keepaliveCountMax: 2 });
    const channel = await openLong(on);
    sshd.signalSessions('SIGSTOP');
    assert.deepEqual(await channel.ended, { kind: 'lost', reason: 'the node did not answer for 0.2 s' });
    await until('open', 0);
  });

  it('takes no further run to a connection that breaks the protocol', async () => {
    await begin();
    const relayed: Socket[] = [];
    const port = await listen((socket) => {
      relayed.push(socket);
      const upstream = connect(sshd.port, sshd.host).on('error', () => undefined);
      socket.pipe(upstream).pipe(socket);
    });
    const target = on.target({ port, pins: sshd.hostKeyFingerprints });
    const channel = await on.open('echo on; exec cat', target);
    channel.stdout.resume();
    channel.stderr.resume();
    relayed[0]?.write(Buffer.alloc(1024, 'junk'));
    assert.equal((await channel.ended).kind, 'lost');
    await until('open', 0);
    assert.equal(metric('evictions'), 1);
    assert.equal((await on.say('echo new', target)).stdout, 'new\n');
    assert.equal(sshd.loginCount(), 2);
  });

  it('replaces a pooled connection that died unseen, once, and the run knows nothing of it', async () => {
    await begin({}, { channelOpenTimeoutMs: 200 });
    await on.say('true');
    sshd.signalSessions('SIGSTOP');
    assert.equal((await on.say('echo new')).stdout, 'new\n');
    assert.equal(metric('replaced'), 1);
    assert.equal(sshd.loginCount(), 2);
  });

  it('replaces a pooled connection that ends just as a run asks for it', async () => {
    await begin();
    await on.say('true');
    sshd.signalSessions('SIGKILL');
    assert.equal((await on.say('echo new')).stdout, 'new\n');
    assert.equal(sshd.loginCount(), 2);
  });

  it('says that the node opens no session when the replacement says nothing either', async () => {
    await begin({}, { channelOpenTimeoutMs: 200 });
    await on.say('true');
    const stop = setInterval(() => sshd.loginCount() > 1 && sshd.signalSessions('SIGSTOP'), 1);
    sshd.signalSessions('SIGSTOP');
    const error = await on.refusal(on.target(), 1_000);
    clearInterval(stop);
    assert.equal(error.name, 'NODE_CONNECT_TIMEOUT');
  });

  it('is not slowed by nodes that never speak or stall in the handshake, however many', async () => {
    await begin({}, { handshakesMax: 2, handshakeHoldMs: 50, handshakesPerNodeMax: 20 });
    const ports = [
      await listen(() => undefined),
      await listen((socket) => socket.write('SSH-2.0-stall\r\n')),
    ];
    const bad = ports.flatMap((port) =>
      Array.from({ length: 20 }, (_, i) => on.refusal(on.target({ port, node: `bad${i}` }), 2_000)),
    );
    const errors = Promise.all(bad);
    let badIsOver = false;
    void errors.then(() => (badIsOver = true));
    assert.equal((await on.say('echo quick')).stdout, 'quick\n');
    assert.equal(badIsOver, false);
    const names = new Set((await errors).map((error) => error.name));
    assert.deepEqual([...names], ['NODE_CONNECT_TIMEOUT']);
  });

  it('gives a run that is ready to wait longer than the one before it another attempt', async () => {
    await begin();
    // Silent for the first connection, a relay to the real server for the next.
    let count = 0;
    const port = await listen((socket) => {
      count += 1;
      if (count === 1) return;
      const upstream = connect(sshd.port, sshd.host).on('error', () => undefined);
      socket.pipe(upstream).pipe(socket);
    });
    const target = on.target({ port, pins: sshd.hostKeyFingerprints });
    const impatient = on.refusal(target, 200);
    await until('connecting', 1);
    const patient = on.say('echo patient', target);
    assert.equal((await impatient).name, 'NODE_CONNECT_TIMEOUT');
    assert.equal((await patient).stdout, 'patient\n');
  });

  it('fails all runs that wait for a node with the one reason that keeps them out', async () => {
    await begin();
    const target = on.target({ config: { keyFiles: [`${sshd.directory}/host_ed25519`] } });
    const errors = await Promise.all(Array.from({ length: 10 }, () => on.refusal(target)));
    assert.deepEqual(new Set(errors.map((error) => error.name)), new Set(['AUTHENTICATION_FAILED']));
    assert.equal(metric('handshakes'), 1);
    assert.equal(metric('nodes'), 0);
  });

  it('gives the place of a channel back when its user gives it up, even with output unread', async () => {
    await begin();
    const channel = await on.open('yes');
    await new Promise((resolve) => channel.stdout.once('readable', resolve));
    channel.destroy();
    assert.deepEqual(await channel.ended, { kind: 'lost', reason: 'the mediator gave the channel up' });
    await until('channels', 0);
    assert.equal(metric('open'), 1);
    assert.equal((await on.say('echo again')).stdout, 'again\n');
    assert.equal(sshd.loginCount(), 1);
  });

  it('gives no new channel to a connection that does not close one', async () => {
    await begin({}, { channelCloseTimeoutMs: 100 });
    const channel = await openLong(on);
    sshd.signalSessions('SIGSTOP');
    channel.destroy();
    await until('open', 0);
    assert.equal((await on.say('echo again')).stdout, 'again\n');
  });

  it('lets a reader that is slow hold back only its own command', async () => {
    await begin();
    const slow = await on.open('yes');
    slow.stderr.resume();
    for (let i = 0; i < 5; i += 1) assert.equal((await on.say(`echo ${i}`)).stdout, `${i}\n`);
    assert.equal(sshd.loginCount(), 1);
    assert(slow.stdout.readableLength <= 5 * 1024 * 1024, `${slow.stdout.readableLength} bytes are held`);
    slow.destroy();
  });

  it('carries megabytes both ways unchanged', async () => {
    await begin();
    const channel = await on.open('exec cat');
    channel.stderr.resume();
    const sent = 'äöü€𝄞 0123456789\n'.repeat(200_000);
    channel.stdin.end(sent);
    assert.equal(await text(channel.stdout), sent);
    assert.deepEqual(await channel.ended, { kind: 'exited', exitCode: 0, signal: null });
  });

  it('when closed, refuses new runs, ends idle connections at once and busy ones after their last channel', async () => {
    await begin();
    const channel = await openLong(on);
    const closed = on.pool.close();
    assert.equal((await on.refusal(on.target())).name, 'SERVICE_SHUTTING_DOWN');
    channel.stdin.end();
    assert.deepEqual(await channel.ended, { kind: 'exited', exitCode: 0, signal: null });
    await closed;
    assert.equal(metric('open'), 0);
    await eventually(() => sshd.sessionPids().length === 0, { label: 'sshd to see the end' });
  });

  it('when closed, gives up connections in the making and tells who waits for them', async () => {
    await begin();
    sshd.signalListener('SIGSTOP');
    const refused = on.refusal(on.target());
    await until('connecting', 1);
    await on.pool.close();
    assert.equal((await refused).name, 'SERVICE_SHUTTING_DOWN');
    assert.equal(metric('connecting'), 0);
  });
});
