import assert from 'node:assert/strict';
import { chmod, copyFile, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { NodeTarget } from '../../../services/shared/gen/rune/v1/lmm.js';
import { NO_SPARES } from '../../support/links.js';
import { openServer } from '../../support/open-server.js';
import { startSshd } from '../../support/sshd.js';
import { opensshOn } from './openssh-on.js';
import { expectError } from './expect-error.js';
import { opensshWorld } from './openssh-world.js';

describe('connecting with the ssh of the system', () => {
  const world = opensshWorld();

  describe('to a node that does not answer as it should', () => {
    it('says at once that a port is closed', async () => {
      const server = await openServer(createServer());
      await server.close();
      expectError(
        await world.on.refusal({ port: server.port }),
        'NODE_UNREACHABLE',
        `127.0.0.1:${server.port}`,
        'ECONNREFUSED',
      );
    });

    it('says that a name cannot be resolved', async () => {
      expectError(
        await world.on.refusal({ address: 'no-such-host.invalid' }),
        'NODE_NAME_UNRESOLVED',
        'no-such-host.invalid',
      );
    });

    it('gives up at the connect timeout, and says how far it got', async () => {
      for (const [greeting, how] of [
        ['', 'accepted the connection and then said nothing within 0.5 s'],
        ['SSH-2.0-stall\r\n', 'began an SSH handshake and did not finish it within 0.5 s'],
      ] as const) {
        const server = await openServer(createServer((socket) => socket.write(greeting)));
        const error = await world.on.refusal({ port: server.port }, { connectTimeoutMs: 500 });
        expectError(error, 'NODE_CONNECT_TIMEOUT', how);
        await server.close();
      }
    });

    it('says that a server which closes at once is unreachable, after trying a few times', async () => {
      const server = await openServer(createServer((socket) => socket.end()));
      const error = await world.on.refusal({ port: server.port });
      expectError(error, 'NODE_UNREACHABLE', 'closed it before the SSH handshake');
      assert.equal(world.on.transport.metrics().handshakes, 5);
      await server.close();
    });

    it('says that something else than SSH answers, and what', async () => {
      for (const greeting of ['SSH-1.5-antique\r\n', 'SSH-2.0-x\r\n'.padEnd(300, 'garbage')]) {
        const server = await openServer(createServer((socket) => socket.end(greeting)));
        expectError(
          await world.on.refusal({ port: server.port }),
          'NODE_HANDSHAKE_FAILED',
          /handshake with .* failed: \w/,
        );
        await server.close();
      }
    });
  });

  it('uses algorithms with SHA-1 only for a node that asks for them', async () => {
    const old = await startSshd({ hostKeyTypes: ['rsa'], extraConfig: ['HostKeyAlgorithms ssh-rsa'] });
    const onOld = await opensshOn(old);
    expectError(await onOld.refusal(), 'NODE_HANDSHAKE_FAILED', /no matching host key type found/);
    assert.equal(await onOld.say('echo yes', { weakAlgorithms: true }), 'yes\n');
    const pinned = { weakAlgorithms: true, hostKeyFingerprints: [...old.hostKeyFingerprints] };
    assert.equal(await onOld.say('echo pinned', pinned), 'pinned\n');
    await onOld.transport.close();
    await old.stop();
  });

  describe('with a hostile request', () => {
    it('takes no address and no user for an option, a command or a pattern', async () => {
      const canary = join(world.on.base, 'canary');
      const before = world.sshd.log();
      for (const address of [
        `-oProxyCommand=touch ${canary}`,
        `-oProxyCommand=touch\t${canary}`,
        `ssh://127.0.0.1:${world.sshd.port}`,
        'root@127.0.0.1',
        `127.0.0.1;touch ${canary}`,
        `$(touch ${canary})`,
        '127.0.0.1\n-v',
        '',
        '%h',
      ]) {
        const error = await world.on.refusal({ address });
        expectError(error, 'INVALID_REQUEST');
      }
      for (const user of ['-oProxyCommand=x', '-v', 'root touch', '$(id)', "a'b", 'a\nb', '%r']) {
        expectError(await world.on.refusal({ user }), 'INVALID_REQUEST');
      }
      await assert.rejects(readFile(canary), { code: 'ENOENT' });
      assert.equal(world.sshd.log(), before);
    });

    it('takes no path of a credential for more than a path', async () => {
      const odd = join(world.on.base, '%h #1 $HOME ~');
      await copyFile(world.sshd.userKeyPath, odd);
      await chmod(odd, 0o600);
      const bad = join(world.on.base, 'a${HOME}"');
      await copyFile(world.sshd.userKeyPath, bad);
      const own = await opensshOn(world.sshd, {
        credentials: { odd: { keyFiles: [odd] }, bad: { keyFiles: [bad] } },
      });
      assert.equal(await own.say('echo yes', { credential: 'odd' }), 'yes\n');
      expectError(
        await own.refusal({ credential: 'bad' }),
        'CREDENTIAL_UNUSABLE',
        'ssh takes no path with quotes',
      );
      await own.transport.close();
    });
  });

  it('gives ssh nothing of the environment but what it needs, and no file of the user', async () => {
    const spy = join(world.on.base, 'spy');
    await writeFile(
      spy,
      `#!/bin/sh\nenv >${spy}.env\nfor a; do echo "$a"; done >${spy}.argv\nexec ssh "$@"\n`,
    );
    await chmod(spy, 0o755);
    // The one for a spare shell would write over what is read.
    const own = await opensshOn(world.sshd, { program: { path: spy }, settings: NO_SPARES });
    assert.equal(await own.say('echo yes'), 'yes\n');
    const names = (await readFile(`${spy}.env`, 'utf8')).split('\n').map((line) => line.split('=')[0] ?? '');
    assert.deepEqual(names.filter((name) => !['', '_', 'PWD', 'OLDPWD', 'SHLVL'].includes(name)).toSorted(), [
      'LC_ALL',
      'PATH',
    ]);
    assert.match(await readFile(`${spy}.argv`, 'utf8'), /^-F\nnone\n/);
    await own.transport.close();
  });

  it('uses the ssh_config file that it was given', async () => {
    const config = join(world.on.base, 'config');
    await writeFile(
      config,
      `Host elsewhere\n  HostName 127.0.0.1\n  HostKeyAlias [127.0.0.1]:${world.sshd.port}\n`,
    );
    const own = await opensshOn(world.sshd, { configFile: config });
    await writeFile(own.knownHostsPath, `* ${world.ed25519().publicKey}\n`);
    assert.equal(await own.say('echo yes', { address: 'elsewhere' }), 'yes\n');
    await own.transport.close();
  });

  it('says that its ssh is gone, or does not know an option', async () => {
    const gone = await opensshOn(world.sshd, { program: { path: join(world.on.base, 'no-such-ssh') } });
    expectError(await gone.refusal(), 'TRANSPORT_NOT_AVAILABLE', 'ENOENT');
    await gone.transport.close();
    const fake = join(world.on.base, 'fake');
    await writeFile(
      fake,
      '#!/bin/sh\necho "command-line: line 0: Bad configuration option: escapechar" >&2; exit 255\n',
    );
    await chmod(fake, 0o755);
    const old = await opensshOn(world.sshd, { program: { path: fake, version: 'OpenSSH_0.1' } });
    expectError(await old.refusal(), 'TRANSPORT_NOT_AVAILABLE', 'OpenSSH_0.1', 'escapechar');
    await old.transport.close();
  });

  it('probes a node: every host key, which of them are accepted, and the login', async () => {
    const probe = (changes: Partial<NodeTarget> = {}) =>
      world.on.transport.probe(world.on.target(changes), 10_000, new AbortController().signal);
    await writeFile(world.on.knownHostsPath, `${world.ed25519().knownHostsLine}\n`);
    const found = await probe();
    assert.equal(found.hostKeyFingerprint, world.ed25519().fingerprint);
    assert.deepEqual([found.hostKeyAccepted, found.authenticated, found.error], [true, true, undefined]);
    assert.deepEqual(
      found.hostKeys.map(({ fingerprint, accepted }) => `${fingerprint} ${accepted}`).toSorted(),
      world.sshd.hostKeys.map(({ fingerprint, type }) => `${fingerprint} ${type === 'ed25519'}`).toSorted(),
    );
    const wrong = await probe({ credential: 'wrong' });
    assert.deepEqual([wrong.hostKeyAccepted, wrong.authenticated], [true, false]);
    assert.equal(wrong.error?.errorData?.name, 'AUTHENTICATION_FAILED');
    await writeFile(world.on.knownHostsPath, '');
    const unknown = await probe();
    assert.deepEqual([unknown.hostKeyAccepted, unknown.hostKeys.length], [false, 3]);
    assert.equal(unknown.error?.errorData?.name, 'HOST_KEY_UNKNOWN');
    assert.equal((await probe({ port: 1 })).error?.errorData?.name, 'NODE_UNREACHABLE');
    assert.equal(world.on.transport.metrics().open, 0);
  });
});
