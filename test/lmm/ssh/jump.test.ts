import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { SshSettings } from '../../../services/lmm/transports/ssh/ssh-settings.js';
import type { SshTarget } from '../../../services/lmm/transports/ssh/ssh-target.js';
import { toEps } from '../../../services/shared/messages/eps.js';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';
import { openServer } from '../../support/open-server.js';
import { startSshd, type TestSshd } from '../../support/sshd.js';
import { poolOn, type PoolOn } from './pool-on.js';
import { collectOutput, transportOn } from './transport-on.js';

describe('a node behind a jump host', () => {
  let inner: TestSshd;
  let bastion: TestSshd;
  let on: PoolOn;
  before(async () => {
    inner = await startSshd({ hostKeyTypes: ['ed25519'], rootOnly: true });
  });
  after(() => inner.stop());
  const ends: (() => unknown)[] = [];
  afterEach(async () => {
    await on.pool.close();
    await bastion.stop();
    for (const end of ends.splice(0)) await end();
  });
  const begin = async (
    permitOpen: readonly string[] = ['any'],
    settings: Partial<SshSettings> = {},
  ): Promise<void> => {
    bastion = await startSshd({
      hostKeyTypes: ['ed25519'],
      extraConfig: [`PermitOpen ${permitOpen.join(' ')}`],
    });
    on = await poolOn(inner, settings);
  };
  const toBastion = (changes: Parameters<PoolOn['target']>[0] = {}): SshTarget =>
    on.target({
      node: 'bastion',
      port: bastion.port,
      user: bastion.users.unprivileged,
      pins: bastion.hostKeyFingerprints,
      config: { keyFiles: [bastion.userKeyPath] },
      ...changes,
    });
  const inside = (changes: Parameters<PoolOn['target']>[0] = {}): SshTarget =>
    on.target({ via: toBastion(), ...changes });

  /** A port that accepts and says nothing, until the end of the test. */
  const silentPort = async (): Promise<number> => {
    const server = await openServer(createServer());
    ends.push(server.close);
    return server.port;
  };

  it('is reached through one that allows this connection only, over connections that are used again', async () => {
    await begin([`127.0.0.1:${inner.port}`]);
    const loginsBefore = inner.loginCount();
    for (let i = 0; i < 5; i += 1) assert.equal((await on.say(`echo ${i}`, inside())).stdout, `${i}\n`);
    assert.equal(inner.loginCount() - loginsBefore, 1);
    assert.equal(bastion.loginCount(), 1);
    assert.equal(on.pool.metrics().open, 2);
  });

  it('is reached through a chain of them', async () => {
    await begin();
    const chain = toBastion({ node: 'second', via: toBastion({ node: 'first' }) });
    assert.equal((await on.say('echo far', inside({ via: chain }))).stdout, 'far\n');
    assert.equal(bastion.loginCount(), 2);
    // Each host counts what it was asked to connect to.
    assert.equal(on.pool.metrics().open, 3);
  });

  it('shares the connection to it with other nodes', async () => {
    await begin();
    const names = Array.from({ length: 12 }, (_, i) => `node${i}`);
    const said = await Promise.all(names.map((node) => on.say(`echo ${node}`, inside({ node }))));
    assert.deepEqual(
      said.map(({ stdout }) => stdout),
      names.map((name) => `${name}\n`),
    );
    assert.equal(bastion.loginCount(), 1);
  });

  it('does not wait for a place among all connections that only nodes behind it hold', async () => {
    await begin(['any'], { connectionsMax: 1 });
    assert.equal((await on.say('echo in', inside())).stdout, 'in\n');
  });

  it('carries megabytes both ways unchanged', async () => {
    await begin();
    const data = Buffer.alloc(8_000_000, 'some bytes that repeat\n');
    const channel = await on.open('exec cat', inside());
    channel.stderr.resume();
    const digest = createHash('sha256');
    channel.stdout.on('data', (chunk: Buffer) => void digest.update(chunk));
    channel.stdin.end(data);
    await channel.ended;
    assert.equal(digest.digest('hex'), createHash('sha256').update(data).digest('hex'));
  });

  describe('is refused with the name of the host that failed when', () => {
    const expect = async (
      target: SshTarget,
      name: string,
      pattern: RegExp,
      timeoutMs?: number,
    ): Promise<void> => {
      const error = await on.refusal(target, timeoutMs);
      assert.equal(error.name, name, error.message);
      assert.match(error.message, pattern);
      assert.equal(error.facts.node, 'web01');
      const hints = toEps(error, { source: 'lmm' }).errorContext?.recoveryActions.join(' ') ?? '';
      const [cause, other] = error.message.startsWith('web01 is reached')
        ? (['bastion', 'web01'] as const)
        : (['web01', 'bastion'] as const);
      assert(hints.includes(cause) && !hints.includes(other), hints);
    };
    const other = `SHA256:${'a'.repeat(43)}`;

    it('the jump host shows another key, and nobody logs in', async () => {
      await begin();
      const via = toBastion({ pins: [other] });
      await expect(
        inside({ via }),
        'HOST_KEY_CHANGED',
        /^web01 is reached through bastion, and that failed: bastion \(.*presents/,
      );
      assert.equal(bastion.loginCount(), 0);
    });

    it('the node behind it shows another key', async () => {
      await begin();
      await expect(inside({ pins: [other] }), 'HOST_KEY_CHANGED', /^web01 \(127\.0\.0\.1:\d+\) presents/);
    });

    it('the jump host refuses the login', async () => {
      await begin();
      const via = toBastion({ config: { keyFiles: [inner.userKeyPath] } });
      await expect(
        inside({ via }),
        'AUTHENTICATION_FAILED',
        /reached through bastion.*bastion .*refuses the login/,
      );
    });

    it('the node behind it refuses the login', async () => {
      await begin();
      const config = { keyFiles: [bastion.userKeyPath] };
      await expect(inside({ config }), 'AUTHENTICATION_FAILED', /^web01 .*refuses the login/);
    });

    it('the jump host does not allow the connection', async () => {
      await begin(['10.0.0.1:22']);
      await expect(
        inside(),
        'NODE_UNREACHABLE',
        /^web01 .*cannot be reached: bastion does not allow connections to it \(AllowTcpForwarding, PermitOpen\)/,
      );
    });

    it('nothing listens behind the jump host', async () => {
      await begin();
      await expect(
        inside({ port: await freePort() }),
        'NODE_UNREACHABLE',
        /cannot be reached: bastion cannot connect to it \(.*Connection refused\)/,
      );
    });

    it('the jump host is away', async () => {
      await begin();
      const via = toBastion({ port: await freePort() });
      await expect(inside({ via }), 'NODE_UNREACHABLE', /through bastion.*bastion .*cannot be reached/);
    });

    it('the first of two jump hosts is away', async () => {
      await begin();
      const first = toBastion({ node: 'first', port: await freePort() });
      const error = await on.refusal(inside({ via: toBastion({ via: first }) }));
      assert.match(
        error.message,
        /^web01 is reached through bastion.*bastion is reached through first.*first \(/,
      );
      const [hint] = toEps(error, { source: 'lmm' }).errorContext?.recoveryActions ?? [];
      assert.match(hint ?? '', /Check that first is up .*rune nodes show first/);
    });

    it('the jump host accepts and says nothing', async () => {
      await begin();
      const via = toBastion({ port: await silentPort() });
      await expect(
        inside({ via }),
        'NODE_CONNECT_TIMEOUT',
        /through bastion.*bastion .*accepted the connection and then said nothing/,
        500,
      );
    });

    it('the node accepts and says nothing, while others behind the same host are reached', async () => {
      await begin();
      assert.equal((await on.say('echo warm', inside({ node: 'good' }))).stdout, 'warm\n');
      const port = await silentPort();
      const silent = expect(inside({ port }), 'NODE_CONNECT_TIMEOUT', /^web01 .*said nothing/, 500);
      assert.equal((await on.say('echo still', inside({ node: 'good' }))).stdout, 'still\n');
      await silent;
      assert.equal(bastion.loginCount(), 1);
    });
  });

  it('gets another connection to the jump host when the pooled one does not answer', async () => {
    await begin(['any'], { channelOpenTimeoutMs: 200 });
    await on.say('true', inside({ node: 'other' }));
    bastion.signalSessions('SIGSTOP');
    assert.equal((await on.say('echo new', inside())).stdout, 'new\n');
    assert.equal(bastion.loginCount(), 2);
  });

  it('is reached no more over a jump host whose key was revoked', async () => {
    await begin();
    await on.say('true', inside());
    const revoked = bastion.hostKeys.map((key) => `@revoked * ${key.publicKey}`);
    await appendFile(on.knownHostsPath, `${revoked.join('\n')}\n`);
    assert.equal((await on.refusal(inside())).name, 'HOST_KEY_REVOKED');
    const inFile = await readFile(on.knownHostsPath, 'utf8');
    await writeFile(on.knownHostsPath, inFile.replace(/^@revoked.*\n/gm, ''));
  });

  it('is not reached with a login of the jump host, nor the other way round', async () => {
    await begin();
    await on.say('true', inside());
    // The same host as a node: its own connection, within its own sessions.
    assert.equal((await on.say('echo own', toBastion())).stdout, 'own\n');
    assert.equal(bastion.loginCount(), 2);
  });

  it('leaves no connection to the jump host when its own has ended', async () => {
    await begin(['any'], { idleMs: 50 });
    await on.say('true', inside());
    await eventually(() => on.pool.metrics().nodes === 0, { label: 'both connections to end' });
    await eventually(() => bastion.sessionPids().length === 0, { label: 'sshd to see the end' });
  });

  it('is connected to anew after it has ended its connection, of which the jump host says only that no more will come', async () => {
    await begin();
    await on.say('true', inside());
    await on.say('true', toBastion());
    inner.signalSessions('SIGKILL');
    await eventually(() => on.pool.metrics().evictions === 1, { label: 'the end of the connection' });
    assert.equal((await on.say('echo again', inside())).stdout, 'again\n');
  });

  it('is LOST when the jump host is killed while a plugin runs, and the plugin ends on the node', async () => {
    await begin();
    const { transport, target, command } = await transportOn(inner);
    ends.push(() => transport.close());
    await appendFile(join(bastion.directory, 'authorized_keys'), await readFile(`${inner.userKeyPath}.pub`));
    const jump = [
      {
        name: 'bastion',
        address: bastion.host,
        port: bastion.port,
        user: bastion.users.unprivileged,
        credential: '',
        hostKeyFingerprints: [...bastion.hostKeyFingerprints],
        weakAlgorithms: false,
      },
    ];
    const output = collectOutput();
    const running = transport.run(
      command('exec sleep 1000', { target: target({ jump }) }),
      output.sink,
      new AbortController().signal,
    );
    await output.started;
    bastion.signalSessions('SIGKILL');
    const ending = await running;
    assert.equal(ending.kind, 'lost');
    assert.match(
      ending.kind === 'lost' ? ending.reason : '',
      /the connection to the jump host bastion ended \(.*(closed the connection|ECONNRESET)/,
    );
    await eventually(() => inner.descendants().length === 0, {
      label: 'the plugin to end',
      timeoutMs: 30_000,
    });
    const again = await transport.run(
      command('echo 1', { target: target({ jump }) }),
      collectOutput().sink,
      new AbortController().signal,
    );
    assert.equal(again.kind, 'ended');
  });
});
