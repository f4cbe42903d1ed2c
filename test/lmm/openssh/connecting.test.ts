import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, copyFile, readFile, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { RuneError } from '../../../services/shared/errors.js';
import type { JumpHost, NodeTarget } from '../../../services/shared/gen/rune/v1/lmm.js';
import { openServer } from '../../support/open-server.js';
import { startAgent } from '../../support/ssh-agent.js';
import { startSshd, type TestSshd } from '../../support/sshd.js';
import { opensshOn, type OpensshOn } from './openssh-on.js';

const run = promisify(execFile);

function expectError(error: RuneError, name: string, ...parts: (string | RegExp)[]): void {
  assert.equal(error.name, name, error.message);
  assert(['web01', 'bastion'].includes(error.facts.node ?? ''), error.facts.node);
  for (const part of parts) {
    if (typeof part === 'string') assert(error.message.includes(part), `${part} in: ${error.message}`);
    else assert.match(error.message, part);
  }
}

describe('connecting with the ssh of the system', () => {
  let sshd: TestSshd;
  let on: OpensshOn;
  before(async () => {
    sshd = await startSshd();
  });
  after(() => sshd.stop());
  beforeEach(async () => {
    on = await opensshOn(sshd);
  });
  afterEach(() => on.transport.close());

  const ed25519 = () => sshd.hostKeys.find((key) => key.type === 'ed25519') ?? assert.fail();
  const newKey = async (name: string, ...args: string[]): Promise<string> => {
    const path = join(on.base, name);
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', path, ...args]);
    return path;
  };
  const publicKey = async (path: string): Promise<string> => (await readFile(`${path}.pub`, 'utf8')).trim();

  describe('to a node that does not answer as it should', () => {
    it('says at once that a port is closed', async () => {
      const server = await openServer(createServer());
      await server.close();
      expectError(
        await on.refusal({ port: server.port }),
        'NODE_UNREACHABLE',
        `127.0.0.1:${server.port}`,
        'ECONNREFUSED',
      );
    });

    it('says that a name cannot be resolved', async () => {
      expectError(
        await on.refusal({ address: 'no-such-host.invalid' }),
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
        const error = await on.refusal({ port: server.port }, { connectTimeoutMs: 500 });
        expectError(error, 'NODE_CONNECT_TIMEOUT', how);
        await server.close();
      }
    });

    it('says that a server which closes at once is unreachable, after trying a few times', async () => {
      const server = await openServer(createServer((socket) => socket.end()));
      const error = await on.refusal({ port: server.port });
      expectError(error, 'NODE_UNREACHABLE', 'closed it before the SSH handshake');
      assert.equal(on.transport.metrics().handshakes, 5);
      await server.close();
    });

    it('says that something else than SSH answers, and what', async () => {
      for (const greeting of ['SSH-1.5-antique\r\n', 'SSH-2.0-x\r\n'.padEnd(300, 'garbage')]) {
        const server = await openServer(createServer((socket) => socket.end(greeting)));
        expectError(
          await on.refusal({ port: server.port }),
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

  describe('as a user', () => {
    it('whom the node refuses, tries it once and names user, key and what the node accepts', async () => {
      const { stdout } = await run('ssh-keygen', ['-lf', join(sshd.directory, 'host_ed25519.pub')]);
      const fingerprint = stdout.split(' ')[1] ?? assert.fail();
      const before = sshd.log().length;
      const error = await on.refusal({ credential: 'wrong' });
      assert.equal(
        sshd
          .log()
          .slice(before)
          .match(/^Connection from/gm)?.length,
        1,
      );
      expectError(
        error,
        'AUTHENTICATION_FAILED',
        'login of root',
        '"wrong"',
        fingerprint,
        'it accepts: publickey',
      );
    });

    it('with a credential that may not be used here, or is missing, makes no connection at all', async () => {
      const before = sshd.log();
      expectError(await on.refusal({ credential: 'elsewhere' }), 'CREDENTIAL_NOT_ALLOWED');
      expectError(
        await on.refusal({ credential: 'missing' }),
        'CREDENTIAL_UNUSABLE',
        'no_such_key does not exist',
      );
      expectError(await on.refusal({ credential: 'nope' }), 'CREDENTIAL_UNUSABLE');
      assert.equal(sshd.log(), before);
    });

    it('with a key file that others may read, says so', async () => {
      const open = join(on.base, 'open key');
      await copyFile(sshd.userKeyPath, open);
      await chmod(open, 0o644);
      const own = await opensshOn(sshd, { credentials: { open: { keyFiles: [open] } } });
      expectError(
        await own.refusal({ credential: 'open' }),
        'CREDENTIAL_UNUSABLE',
        `ssh cannot use ${open}: bad permissions`,
      );
      await chmod(open, 0o600);
      assert.equal(await own.say('echo yes', { credential: 'open' }), 'yes\n');
      await own.transport.close();
    });

    it('with a password or a passphrase, says that it cannot give them', async () => {
      await writeFile(join(on.base, 'secret'), 'hunter2\n');
      const secret = { file: join(on.base, 'secret') };
      const locked = await newKey('locked');
      await run('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'hunter2', '-f', locked]);
      const own = await opensshOn(sshd, {
        credentials: {
          password: { keyFiles: [], password: secret },
          passphrase: { keyFiles: [locked], passphrase: secret },
        },
      });
      for (const [credential, what] of [
        ['password', 'cannot give a password'],
        ['passphrase', 'cannot give a passphrase'],
      ] as const) {
        const error = await own.refusal({ credential });
        expectError(error, 'CREDENTIAL_UNUSABLE', what);
        assert.doesNotMatch(JSON.stringify(error), /hunter2/);
      }
      await own.transport.close();
    });

    it('whose key is in an ssh-agent, logs in with it; an agent that is gone is named', async () => {
      const agent = await startAgent(join(on.base, 'agent'));
      await run('ssh-add', ['-q', sshd.userKeyPath], {
        env: { ...process.env, SSH_AUTH_SOCK: agent.socketPath },
      });
      const own = await opensshOn(sshd, { credentials: { held: { keyFiles: [], agent: agent.socketPath } } });
      assert.equal(await own.say('echo "${SSH_AUTH_SOCK-none}"', { credential: 'held' }), 'none\n');
      await agent.stop();
      await own.transport.close();
      const late = await opensshOn(sshd, {
        credentials: { held: { keyFiles: [], agent: agent.socketPath } },
      });
      expectError(
        await late.refusal({ credential: 'held' }),
        'CREDENTIAL_UNUSABLE',
        'the ssh-agent cannot be used',
      );
      await late.transport.close();
    });
  });

  describe('to a node whose host key', () => {
    it('is unknown, is refused before the login', async () => {
      await writeFile(on.knownHostsPath, '');
      const logins = sshd.log().match(/^Accepted/gm)?.length;
      expectError(
        await on.refusal(),
        'HOST_KEY_UNKNOWN',
        ed25519().fingerprint,
        'is not in',
        'nothing is pinned',
      );
      assert.equal(sshd.log().match(/^Accepted/gm)?.length, logins);
    });

    it('has changed, is refused with both fingerprints, file and line', async () => {
      const other = await newKey('other');
      const { stdout } = await run('ssh-keygen', ['-lf', `${other}.pub`]);
      await writeFile(on.knownHostsPath, `# one\n[127.0.0.1]:${sshd.port} ${await publicKey(other)}\n`);
      const error = await on.refusal();
      expectError(
        error,
        'HOST_KEY_CHANGED',
        ed25519().fingerprint,
        stdout.split(' ')[1] ?? '',
        `${on.knownHostsPath}:2`,
      );
    });

    it('is revoked, is refused even if it is pinned, with file and line', async () => {
      const line = `@revoked * ${ed25519().publicKey}\n${ed25519().knownHostsLine}\n`;
      await writeFile(on.knownHostsPath, line);
      for (const pins of [[], [ed25519().fingerprint]]) {
        const error = await on.refusal({ hostKeyFingerprints: pins });
        expectError(error, 'HOST_KEY_REVOKED', ed25519().fingerprint, `${on.knownHostsPath}:1`);
      }
    });

    it('is pinned, is accepted without known_hosts, and no other key is', async () => {
      const pinned = { hostKeyFingerprints: ['SHA256:'.padEnd(50, 'A'), ed25519().fingerprint] };
      await writeFile(on.knownHostsPath, '');
      assert.equal(await on.say('echo yes', pinned), 'yes\n');
      await writeFile(on.knownHostsPath, `${sshd.knownHostsLines.join('\n')}\n`);
      const others = { hostKeyFingerprints: ['SHA256:'.padEnd(50, 'A')] };
      expectError(await on.refusal(others), 'HOST_KEY_CHANGED', 'the inventory pins SHA256:AAA');
    });

    it('is pinned, is refused where the ssh of the mediator is too old to check a pin', async () => {
      const old = await opensshOn(sshd, { program: { version: 'OpenSSH_8.4p1', checksPins: false } });
      const error = await old.refusal({ hostKeyFingerprints: sshd.hostKeyFingerprints.slice() });
      expectError(error, 'HOST_KEY_UNKNOWN', 'OpenSSH_8.4p1', 'takes OpenSSH 8.5');
      assert.equal(await old.say('echo yes'), 'yes\n');
      await old.transport.close();
    });

    it('stands hashed in the file or is matched by a pattern, is found', async () => {
      await run('ssh-keygen', ['-H', '-f', on.knownHostsPath]);
      assert.doesNotMatch(await readFile(on.knownHostsPath, 'utf8'), /127/);
      assert.equal(await on.say('echo hashed'), 'hashed\n');
      await writeFile(on.knownHostsPath, `[127.0.0.?]:* ${ed25519().publicKey}\n`);
      assert.equal(await on.say('echo pattern', { user: 'rune-test' }), 'pattern\n');
    });

    it('becomes revoked while a connection is open, gets no further run', async () => {
      assert.equal(await on.say('echo yes'), 'yes\n');
      await writeFile(on.knownHostsPath, `@revoked * ${ed25519().publicKey}\n`);
      expectError(await on.refusal(), 'HOST_KEY_REVOKED');
    });
  });

  describe('to a node with certificates', () => {
    let certified: TestSshd;
    let keys: OpensshOn;
    let authority: string;
    let stranger: string;
    let userKey: string;
    let certificate: string;

    before(async () => {
      keys = await opensshOn(sshd);
      const path = (name: string): string => join(keys.base, name);
      for (const name of ['authority', 'stranger', 'host', 'user'])
        await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', path(name)]);
      [authority, stranger, userKey] = [path('authority'), path('stranger'), path('user')];
      await run('ssh-keygen', [
        '-q',
        '-s',
        authority,
        '-I',
        'host',
        '-h',
        '-n',
        '127.0.0.1',
        path('host.pub'),
      ]);
      await run('ssh-keygen', ['-q', '-s', authority, '-I', 'user', '-n', 'root', path('user.pub')]);
      // Not beside the key, where ssh would find it by itself.
      certificate = path('certificate.pub');
      await rename(path('user-cert.pub'), certificate);
      certified = await startSshd({
        hostKeyTypes: [],
        extraConfig: [
          `HostKey ${path('host')}`,
          `HostCertificate ${path('host-cert.pub')}`,
          `TrustedUserCAKeys ${authority}.pub`,
          'AuthorizedKeysFile none',
        ],
      });
    });
    after(async () => {
      await keys.transport.close();
      await certified.stop();
    });

    const onCertified = async (knownHosts: string, byCredential = false): Promise<OpensshOn> => {
      const made = await opensshOn(certified, {
        byCredential,
        credentials: {
          default: { keyFiles: [userKey], certificateFiles: [certificate], client: 'openssh' },
          bare: { keyFiles: [userKey], client: 'openssh' },
          bastion: { keyFiles: [sshd.userKeyPath] },
        },
      });
      await writeFile(made.knownHostsPath, knownHosts);
      return made;
    };
    const authorityLine = async (key: string, hosts = '127.0.0.*'): Promise<string> =>
      `@cert-authority ${hosts} ${await publicKey(key)}\n`;
    const refusalWith = async (knownHosts: string, target: Partial<NodeTarget> = {}): Promise<RuneError> => {
      const made = await onCertified(knownHosts);
      const error = await made.refusal(target);
      await made.transport.close();
      return error;
    };

    it('trusts the host by its authority and logs in with the certificate of the user', async () => {
      const made = await onCertified(await authorityLine(authority));
      assert.equal(await made.say('echo certified'), 'certified\n');
      assert.match(certified.log(), /Accepted publickey for root .*ED25519-CERT/);
      const probe = await made.transport.probe(made.target(), 10_000, new AbortController().signal);
      assert.deepEqual([probe.hostKeyAccepted, probe.authenticated, probe.error], [true, true, undefined]);
      assert.equal(probe.hostKeyType, 'ssh-ed25519');
      assert.deepEqual(
        probe.hostKeys.map(({ fingerprint, accepted }) => ({ fingerprint, accepted })),
        [{ fingerprint: probe.hostKeyFingerprint, accepted: true }],
      );
      await made.transport.close();
    });

    it('refuses the host when another authority, or one for other names, is known', async () => {
      const other = await refusalWith(await authorityLine(stranger));
      expectError(
        other,
        'HOST_KEY_UNKNOWN',
        'known_hosts:1 does not help: another authority signed the certificate',
      );
      const elsewhere = await refusalWith(await authorityLine(authority, '*.example.org'));
      expectError(elsewhere, 'HOST_KEY_UNKNOWN', 'nothing is pinned');
    });

    it('refuses the host under a name that its certificate does not hold', async () => {
      const error = await refusalWith(await authorityLine(authority, '*'), { address: 'localhost' });
      expectError(
        error,
        'HOST_KEY_UNKNOWN',
        'the certificate of the node is not valid',
        'not a listed principal',
      );
    });

    it('refuses the host when its authority is revoked', async () => {
      const lines = `@revoked * ${await publicKey(authority)}\n${await authorityLine(authority)}`;
      expectError(await refusalWith(lines), 'HOST_KEY_REVOKED', 'it or its certificate authority is revoked');
    });

    it('takes a pinned key for what it is, certificate or not', async () => {
      const { stdout } = await run('ssh-keygen', ['-lf', join(keys.base, 'host.pub')]);
      const made = await onCertified('');
      assert.equal(
        await made.say('echo yes', { hostKeyFingerprints: [stdout.split(' ')[1] ?? ''] }),
        'yes\n',
      );
      await made.transport.close();
      const other = { hostKeyFingerprints: ['SHA256:'.padEnd(50, 'A')] };
      expectError(await refusalWith(await authorityLine(authority), other), 'HOST_KEY_CHANGED');
    });

    it('is reached by the library again with a credential that does not ask for the ssh of the system', async () => {
      const made = await onCertified(await authorityLine(authority), true);
      assert.equal(await made.say('echo certified'), 'certified\n');
      assert.equal(made.masters().length, 1);
      const error = await made.refusal({ credential: 'bastion' });
      expectError(error, 'HOST_KEY_UNKNOWN', 'only the transport openssh checks host certificates');
      await made.transport.close();
    });

    it('goes through jump hosts, each with its own credential and host keys', async () => {
      const hop = (changes: Partial<JumpHost> = {}): Partial<NodeTarget> => ({
        jump: [
          {
            name: 'bastion',
            address: sshd.host,
            port: sshd.port,
            user: 'rune-test',
            credential: 'bastion',
            hostKeyFingerprints: [ed25519().fingerprint],
            weakAlgorithms: false,
            ...changes,
          },
        ],
      });
      const made = await onCertified(await authorityLine(authority));
      const before = sshd.loginCount();
      assert.equal(await made.say('echo through', hop()), 'through\n');
      assert.equal(sshd.loginCount(), before + 1);
      const unpinned = { hostKeyFingerprints: [] };
      expectError(await made.refusal(hop(unpinned)), 'HOST_KEY_UNKNOWN', 'on the way', 'through bastion');
      await writeFile(made.knownHostsPath, `${await authorityLine(authority)}${ed25519().knownHostsLine}\n`);
      assert.equal(await made.say('echo known', hop(unpinned)), 'known\n');
      expectError(
        await made.refusal(hop({ credential: 'default' })),
        'AUTHENTICATION_FAILED',
        'through bastion',
      );
      expectError(await made.refusal(hop({ port: 1 })), 'NODE_UNREACHABLE', 'through bastion', 'refused');
      expectError(
        await made.refusal({ ...hop(), port: 1 }),
        'NODE_UNREACHABLE',
        'through bastion',
        'refused',
      );
      expectError(await made.refusal(hop({ address: '$(id)' })), 'INVALID_REQUEST', 'bastion');
      await writeFile(made.knownHostsPath, `@revoked * ${ed25519().publicKey}\n`);
      expectError(await made.refusal(hop()), 'HOST_KEY_REVOKED', 'on the way');
      await made.transport.close();
      assert.deepEqual(made.processes(), []);
    });

    it('is refused by the node without the certificate', async () => {
      const error = await refusalWith(await authorityLine(authority), { credential: 'bare' });
      expectError(error, 'AUTHENTICATION_FAILED', '"bare"');
    });
  });

  describe('with a hostile request', () => {
    it('takes no address and no user for an option, a command or a pattern', async () => {
      const canary = join(on.base, 'canary');
      const before = sshd.log();
      for (const address of [
        `-oProxyCommand=touch ${canary}`,
        `-oProxyCommand=touch\t${canary}`,
        `ssh://127.0.0.1:${sshd.port}`,
        'root@127.0.0.1',
        `127.0.0.1;touch ${canary}`,
        `$(touch ${canary})`,
        '127.0.0.1\n-v',
        '',
        '%h',
      ]) {
        const error = await on.refusal({ address });
        expectError(error, 'INVALID_REQUEST');
      }
      for (const user of ['-oProxyCommand=x', '-v', 'root touch', '$(id)', "a'b", 'a\nb', '%r']) {
        expectError(await on.refusal({ user }), 'INVALID_REQUEST');
      }
      await assert.rejects(readFile(canary), { code: 'ENOENT' });
      assert.equal(sshd.log(), before);
    });

    it('takes no path of a credential for more than a path', async () => {
      const odd = join(on.base, '%h #1 $HOME ~');
      await copyFile(sshd.userKeyPath, odd);
      await chmod(odd, 0o600);
      const bad = join(on.base, 'a${HOME}"');
      await copyFile(sshd.userKeyPath, bad);
      const own = await opensshOn(sshd, {
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
    const spy = join(on.base, 'spy');
    await writeFile(
      spy,
      `#!/bin/sh\nenv >${spy}.env\nfor a; do echo "$a"; done >${spy}.argv\nexec ssh "$@"\n`,
    );
    await chmod(spy, 0o755);
    const own = await opensshOn(sshd, { program: { path: spy } });
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
    const config = join(on.base, 'config');
    await writeFile(
      config,
      `Host elsewhere\n  HostName 127.0.0.1\n  HostKeyAlias [127.0.0.1]:${sshd.port}\n`,
    );
    const own = await opensshOn(sshd, { configFile: config });
    await writeFile(own.knownHostsPath, `* ${ed25519().publicKey}\n`);
    assert.equal(await own.say('echo yes', { address: 'elsewhere' }), 'yes\n');
    await own.transport.close();
  });

  it('says that its ssh is gone, or does not know an option', async () => {
    const gone = await opensshOn(sshd, { program: { path: join(on.base, 'no-such-ssh') } });
    expectError(await gone.refusal(), 'TRANSPORT_NOT_AVAILABLE', 'ENOENT');
    await gone.transport.close();
    const fake = join(on.base, 'fake');
    await writeFile(
      fake,
      '#!/bin/sh\necho "command-line: line 0: Bad configuration option: escapechar" >&2; exit 255\n',
    );
    await chmod(fake, 0o755);
    const old = await opensshOn(sshd, { program: { path: fake, version: 'OpenSSH_0.1' } });
    expectError(await old.refusal(), 'TRANSPORT_NOT_AVAILABLE', 'OpenSSH_0.1', 'escapechar');
    await old.transport.close();
  });

  it('probes a node: every host key, which of them are accepted, and the login', async () => {
    const probe = (changes: Partial<NodeTarget> = {}) =>
      on.transport.probe(on.target(changes), 10_000, new AbortController().signal);
    await writeFile(on.knownHostsPath, `${ed25519().knownHostsLine}\n`);
    const found = await probe();
    assert.equal(found.hostKeyFingerprint, ed25519().fingerprint);
    assert.deepEqual([found.hostKeyAccepted, found.authenticated, found.error], [true, true, undefined]);
    assert.deepEqual(
      found.hostKeys.map(({ fingerprint, accepted }) => `${fingerprint} ${accepted}`).toSorted(),
      sshd.hostKeys.map(({ fingerprint, type }) => `${fingerprint} ${type === 'ed25519'}`).toSorted(),
    );
    const wrong = await probe({ credential: 'wrong' });
    assert.deepEqual([wrong.hostKeyAccepted, wrong.authenticated], [true, false]);
    assert.equal(wrong.error?.errorData?.name, 'AUTHENTICATION_FAILED');
    await writeFile(on.knownHostsPath, '');
    const unknown = await probe();
    assert.deepEqual([unknown.hostKeyAccepted, unknown.hostKeys.length], [false, 3]);
    assert.equal(unknown.error?.errorData?.name, 'HOST_KEY_UNKNOWN');
    assert.equal((await probe({ port: 1 })).error?.errorData?.name, 'NODE_UNREACHABLE');
    assert.equal(on.transport.metrics().open, 0);
  });
});
