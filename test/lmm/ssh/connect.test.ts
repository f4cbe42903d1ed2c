import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { RuneError } from '../../../services/shared/errors.js';
import { eventually } from '../../support/eventually.js';
import { openServer } from '../../support/open-server.js';
import { startAgent, type TestAgent } from '../../support/ssh-agent.js';
import { startSshd, type TestSshd } from '../../support/sshd.js';
import { poolOn, type PoolOn } from './pool-on.js';

const run = promisify(execFile);

describe('connecting over SSH', () => {
  let sshd: TestSshd;
  let on: PoolOn;

  before(async () => {
    sshd = await startSshd();
  });
  after(() => sshd.stop());
  beforeEach(async () => {
    on = await poolOn(sshd);
  });
  afterEach(() => on.pool.close());

  for (const user of ['root', 'rune-test']) {
    it(`runs a command as ${user} and tells stdout, stderr and exit code apart`, async () => {
      const said = await on.say('id -un; echo trouble >&2; exit 3', on.target({ user }));
      assert.deepEqual(said, {
        stdout: `${user}\n`,
        stderr: 'trouble\n',
        end: { kind: 'exited', exitCode: 3, signal: null },
      });
    });
  }

  it('tells death by a signal from an exit code', async () => {
    const { end } = await on.say('kill -KILL $$');
    assert.deepEqual(end, { kind: 'exited', exitCode: null, signal: 'KILL' });
  });

  describe('to a node that does not answer as it should', () => {
    const expectError = (error: RuneError, name: string, ...parts: (string | RegExp)[]): void => {
      assert.equal(error.name, name, error.message);
      assert.equal(error.facts.node, 'web01');
      for (const part of ['web01', ...parts]) {
        if (typeof part === 'string') assert(error.message.includes(part), `${part} in: ${error.message}`);
        else assert.match(error.message, part);
      }
    };

    it('says at once that a port is closed', async () => {
      const server = await openServer(createServer());
      await server.close();
      const error = await on.refusal(on.target({ port: server.port }));
      expectError(error, 'NODE_UNREACHABLE', `127.0.0.1:${server.port}`, 'ECONNREFUSED');
      assert.equal(on.pool.metrics().handshakes, 1);
    });

    it('says that a name cannot be resolved', async () => {
      const error = await on.refusal(on.target({ address: 'no-such-host.invalid' }));
      expectError(error, 'NODE_NAME_UNRESOLVED', 'no-such-host.invalid');
    });

    it('gives up at the connect timeout on a port that accepts and never speaks', async () => {
      const server = await openServer(createServer());
      const startedMs = performance.now();
      const error = await on.refusal(on.target({ port: server.port }), 300);
      expectError(error, 'NODE_CONNECT_TIMEOUT', 'accepted the connection and then said nothing', '0.3 s');
      assert(performance.now() - startedMs >= 299);
      await server.close();
    });

    it('gives up at the connect timeout on a server that greets and stalls', async () => {
      const server = await openServer(createServer((socket) => socket.write('SSH-2.0-stall\r\n')));
      const error = await on.refusal(on.target({ port: server.port }), 300);
      expectError(error, 'NODE_CONNECT_TIMEOUT', 'began an SSH handshake and did not finish it', '0.3 s');
      await server.close();
    });

    it('gives up at the connect timeout on a server that stalls in the login', async () => {
      const other = await startSshd({ hostKeyTypes: ['ed25519'] });
      const onOther = await poolOn(other);
      // The session's process is stopped as soon as sshd has looked at the key, before it lets anybody in.
      const agent = await startAgentThatStopsSshd(other);
      try {
        const config = { keyFiles: [], agent: agent.socketPath };
        const error = await onOther.refusal(onOther.target({ config }), 1_000);
        expectError(error, 'NODE_CONNECT_TIMEOUT', 'did not answer the login', '1 s');
      } finally {
        await agent.stop();
        await onOther.pool.close();
        await other.stop();
      }
    });

    it('says that a server which closes at once is unreachable, after trying a few times', async () => {
      const server = await openServer(createServer((socket) => socket.end()));
      const error = await on.refusal(on.target({ port: server.port }));
      expectError(error, 'NODE_UNREACHABLE', 'closed it before the SSH handshake');
      assert.equal(on.pool.metrics().handshakes, 5);
      await server.close();
    });

    it('says that something else than SSH answers', async () => {
      const server = await openServer(createServer((socket) => socket.write('SSH-1.5-antique\r\n')));
      const error = await on.refusal(on.target({ port: server.port }));
      expectError(error, 'NODE_HANDSHAKE_FAILED', 'SSH handshake');
      await server.close();
    });

    it('ends with a server that floods it with text before the greeting', async () => {
      const server = await openServer(
        createServer((socket) => {
          const flood = (): void => {
            while (socket.write('x'.repeat(60_000))) continue;
            socket.once('drain', flood);
          };
          flood();
        }),
      );
      const error = await on.refusal(on.target({ port: server.port }));
      expectError(error, 'NODE_HANDSHAKE_FAILED');
      await server.close();
    });

    for (const [used, where, extraConfig] of [
      ['ecdh-sha2-nistp256', 'where the node has it', []],
      ['curve25519-sha256', 'where the node has nothing else', ['KexAlgorithms curve25519-sha256']],
    ] as const) {
      it(`exchanges keys by ${used} ${where}`, async () => {
        const server = await startSshd({ rootOnly: true, extraConfig: ['LogLevel DEBUG3', ...extraConfig] });
        const onServer = await poolOn(server);
        assert.equal((await onServer.say('echo in')).stdout, 'in\n');
        assert.ok(server.log().includes(`kex: algorithm: ${used} [preauth]`), server.log());
        await onServer.pool.close();
        await server.stop();
      });
    }

    it('refuses a server that knows only SHA-1 unless the node asks for it', async () => {
      const old = await startSshd({
        hostKeyTypes: ['rsa'],
        rootOnly: true,
        extraConfig: ['HostKeyAlgorithms ssh-rsa', 'KexAlgorithms +diffie-hellman-group14-sha1'],
      });
      const onOld = await poolOn(old);
      const error = await onOld.refusal(onOld.target());
      expectError(error, 'NODE_HANDSHAKE_FAILED', /no matching (server )?host key/i);
      assert.equal((await onOld.say('echo in', onOld.target({ weakAlgorithms: true }))).stdout, 'in\n');
      await onOld.pool.close();
      await old.stop();
    });

    for (const [what, line] of [
      ['signatures with SHA-1', 'MACs hmac-sha1,hmac-sha1-etm@openssh.com\nCiphers aes128-ctr'],
      ['key exchanges with SHA-1', 'KexAlgorithms diffie-hellman-group14-sha1'],
      ['ciphers with CBC', 'Ciphers aes256-cbc'],
    ] as const) {
      it(`refuses ${what} unless the node asks for them`, async () => {
        const old = await startSshd({ hostKeyTypes: ['ed25519'], rootOnly: true, extraConfig: [line] });
        const onOld = await poolOn(old);
        expectError(await onOld.refusal(onOld.target()), 'NODE_HANDSHAKE_FAILED', /no matching/i);
        assert.equal((await onOld.say('echo in', onOld.target({ weakAlgorithms: true }))).stdout, 'in\n');
        await onOld.pool.close();
        await old.stop();
      });
    }
  });

  describe('with a credential', () => {
    const keygen = async (name: string, passphrase = ''): Promise<string> => {
      const path = join(sshd.directory, name);
      await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', passphrase, '-C', '', '-f', path]);
      return path;
    };

    it('that the node refuses, tries it once and names user, key and what the node accepts', async () => {
      const wrong = await keygen('wrong_key');
      const { stdout } = await run('ssh-keygen', ['-lf', wrong]);
      const error = await on.refusal(on.target({ config: { keyFiles: [wrong] } }));
      assert.equal(error.name, 'AUTHENTICATION_FAILED');
      for (const part of [
        'web01',
        'root',
        '"default"',
        stdout.split(' ')[1] ?? '',
        'it accepts: publickey',
      ]) {
        assert(error.message.includes(part), `${part} in: ${error.message}`);
      }
      assert.equal(on.pool.metrics().handshakes, 1);
      const fingerprint = stdout.split(' ')[1] ?? '';
      const offered = sshd
        .log()
        .split('\n')
        .filter((line) => line.startsWith('Failed publickey') && line.includes(fingerprint));
      assert.equal(offered.length, 1);
    });

    it('of several keys, logs in with the one that fits', async () => {
      const wrong = await keygen('another_wrong_key');
      const said = await on.say('echo in', on.target({ config: { keyFiles: [wrong, sshd.userKeyPath] } }));
      assert.equal(said.stdout, 'in\n');
    });

    it('whose keys cannot be used, makes no connection at all', async () => {
      const encrypted = await keygen('encrypted_key', 'secret');
      const logBefore = sshd.log();
      const error = await on.refusal(on.target({ config: { keyFiles: [encrypted] } }));
      assert.equal(error.name, 'CREDENTIAL_UNUSABLE');
      assert(error.message.includes(encrypted));
      assert.equal(sshd.log(), logBefore);
    });

    it('in an ssh-agent, logs in with its keys', async () => {
      const agent = await startAgent(join(sshd.directory, 'agent.sock'));
      try {
        const config = { keyFiles: [], agent: agent.socketPath };
        const empty = await on.refusal(on.target({ config }));
        assert.equal(empty.name, 'CREDENTIAL_UNUSABLE');
        assert.match(empty.message, /holds no key/);

        await run('ssh-add', ['-q', sshd.userKeyPath], {
          env: { ...process.env, SSH_AUTH_SOCK: agent.socketPath },
        });
        assert.equal((await on.say('echo in', on.target({ config }))).stdout, 'in\n');
      } finally {
        await agent.stop();
      }
    });

    it('of type rsa or ecdsa, logs in', async () => {
      for (const type of ['rsa', 'ecdsa']) {
        const path = join(sshd.directory, `user_${type}`);
        await run('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', '', '-f', path]);
        await writeFile(join(sshd.directory, 'authorized_keys'), await readFile(`${path}.pub`), {
          flag: 'a',
        });
        assert.equal(
          (await on.say('echo in', on.target({ config: { keyFiles: [path] }, node: type }))).stdout,
          'in\n',
        );
      }
    });
  });

  describe('to a host whose key', () => {
    const key = (type: string) => sshd.hostKeys.find((each) => each.type === type) ?? assert.fail();
    const knownHosts = (...lines: string[]): Promise<void> =>
      writeFile(on.knownHostsPath, `${lines.join('\n')}\n`);
    const otherKey = 'AAAAC3NzaC1lZDI1NTE5AAAAIDOo7uYcVbDBCWSNGvMJGRHDnXkNLgGX5UO8yKdmJZTb';

    it('is unknown, is refused before the login', async () => {
      await knownHosts('');
      const loginsBefore = sshd.loginCount();
      const error = await on.refusal(on.target());
      assert.equal(error.name, 'HOST_KEY_UNKNOWN');
      assert(error.message.includes(key('ed25519').fingerprint));
      assert(error.message.includes(on.knownHostsPath));
      assert.equal(sshd.loginCount(), loginsBefore);
    });

    it('has changed, is refused with both fingerprints, file and line', async () => {
      await knownHosts('# one', `[127.0.0.1]:${sshd.port} ssh-ed25519 ${otherKey}`);
      const error = await on.refusal(on.target());
      assert.equal(error.name, 'HOST_KEY_CHANGED');
      const { stdout } = await run('bash', ['-c', `echo ssh-ed25519 ${otherKey} | ssh-keygen -lf -`]);
      for (const part of [key('ed25519').fingerprint, stdout.split(' ')[1] ?? '', `${on.knownHostsPath}:2`]) {
        assert(error.message.includes(part), `${part} in: ${error.message}`);
      }
    });

    it('is revoked, is refused even if it is pinned', async () => {
      await knownHosts(...sshd.knownHostsLines, `@revoked * ${key('ed25519').publicKey}`);
      const error = await on.refusal(on.target({ pins: [key('ed25519').fingerprint] }));
      assert.equal(error.name, 'HOST_KEY_REVOKED');
      assert(error.message.includes(`${on.knownHostsPath}:4`));
    });

    it('is pinned, is accepted without known_hosts, and no other key is', async () => {
      await knownHosts('');
      const pinned = on.target({ pins: [key('ed25519').fingerprint] });
      assert.equal((await on.say('echo in', pinned)).stdout, 'in\n');
      const error = await on.refusal(on.target({ pins: [key('rsa').fingerprint] }));
      assert.equal(error.name, 'HOST_KEY_CHANGED');
      assert(error.message.includes(key('rsa').fingerprint));
    });

    for (const type of ['ed25519', 'ecdsa', 'rsa']) {
      it(`is known by its ${type} key only, shows that one`, async () => {
        await knownHosts(key(type).knownHostsLine);
        assert.equal((await on.say('echo in')).stdout, 'in\n');
      });
    }

    it('stands hashed in the file, is found', async () => {
      await knownHosts(...sshd.knownHostsLines);
      await run('ssh-keygen', ['-q', '-H', '-f', on.knownHostsPath]);
      assert.equal((await readFile(on.knownHostsPath, 'utf8')).includes('127.0.0.1'), false);
      assert.equal((await on.say('echo in')).stdout, 'in\n');
    });

    it('is known for another port only, is unknown', async () => {
      await knownHosts(`127.0.0.1 ${key('ed25519').publicKey}`, `[127.0.0.1]:1 ${key('ed25519').publicKey}`);
      assert.equal((await on.refusal(on.target())).name, 'HOST_KEY_UNKNOWN');
    });

    it('becomes known or revoked while the mediator runs, is treated so from then on', async () => {
      await knownHosts('');
      assert.equal((await on.refusal(on.target())).name, 'HOST_KEY_UNKNOWN');
      await knownHosts(...sshd.knownHostsLines);
      assert.equal((await on.say('echo in')).stdout, 'in\n');
      await eventually(() => on.pool.metrics().idle === 1, { label: 'the connection to be idle' });
      await knownHosts(...sshd.knownHostsLines, `@revoked * ${key('ed25519').publicKey}`);
      assert.equal((await on.refusal(on.target())).name, 'HOST_KEY_REVOKED');
      await eventually(() => on.pool.metrics().open === 0, { label: 'the warm connection to be closed' });
    });

    it('cannot be looked up because known_hosts is unreadable, is refused', async () => {
      await run('rm', [on.knownHostsPath]);
      await run('mkdir', [on.knownHostsPath]);
      const error = await on.refusal(on.target());
      assert.equal(error.name, 'HOST_KEY_UNKNOWN');
      assert.match(error.message, /cannot be read/);
      await run('rmdir', [on.knownHostsPath]);
    });
  });
});

/** An ssh-agent that holds the user key of `sshd` and stops that server's sessions when it is asked to sign. */
async function startAgentThatStopsSshd(sshd: TestSshd): Promise<TestAgent> {
  const real = await startAgent(join(sshd.directory, 'real-agent.sock'));
  await run('ssh-add', ['-q', sshd.userKeyPath], { env: { ...process.env, SSH_AUTH_SOCK: real.socketPath } });
  const socketPath = join(sshd.directory, 'stopping-agent.sock');
  const SIGN_REQUEST = 13;
  const server = createServer((socket) => {
    const upstream = connect(real.socketPath);
    for (const each of [socket, upstream]) each.on('error', () => undefined);
    socket.on('data', (data) => {
      if (data[4] === SIGN_REQUEST) sshd.signalSessions('SIGSTOP');
    });
    socket.pipe(upstream).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  return {
    socketPath,
    stop: async () => {
      server.close();
      await real.stop();
    },
  };
}
