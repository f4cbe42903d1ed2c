import assert from 'node:assert/strict';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseSshConfig, type SshConfig } from '../../../services/lmm/transports/ssh/ssh-config.js';
import { readSshConfig } from '../../../services/lmm/transports/ssh/ssh-config-files.js';
import { RuneError } from '../../../services/shared/errors.js';
import { recordingLogger } from '../../support/recording-logger.js';
import { startSshd, type TestSshd } from '../../support/sshd.js';
import { transportOn, type TransportOn } from './transport-on.js';

describe('ssh_config', () => {
  const parse = (...texts: string[]): SshConfig =>
    parseSshConfig(
      texts.map((text, i) => ({ path: `config${i}`, text })),
      '/home/op',
    );

  it('gives a host the first value that fits, over all files, and every identity file', () => {
    const config = parse(
      `
# a comment
User everybody
IdentityFile ~/.ssh/first

Host db*.example.org !db9.example.org "quoted host"
  HostName=%h.internal   # where it really is
  Port 2222
  user db
  IdentityFile "%d/keys/with space" none
  HostKeyAlias the-db
  ForwardX11 no
`,
      `
Host *
  Port 2200
  IdentityFile /etc/keys/last
  ProxyJump jump@bastion:22022,[::1],second.example.org
`,
    );
    const jumps = [
      { user: 'jump', host: 'bastion', port: 22022 },
      { user: '', host: 'second.example.org', port: 0 },
    ];
    assert.deepEqual(config.of('DB1.example.ORG'), {
      hostName: 'DB1.example.ORG.internal',
      port: 2222,
      user: 'everybody',
      hostKeyAlias: 'the-db',
      identityFiles: ['/home/op/.ssh/first', '/home/op/keys/with space', '/etc/keys/last'],
      proxyJump: [jumps[0], { user: '', host: '::1', port: 0 }, jumps[1]],
    });
    const other = config.of('db9.example.org');
    assert.deepEqual([other.hostName, other.port, other.hostKeyAlias], [undefined, 2200, undefined]);
    assert.deepEqual(config.ignored, ['forwardx11']);
  });

  it('lets "none" end what a later line would say', () => {
    const config = parse('Host bastion\nProxyJump none\nHost *\nProxyJump bastion\n');
    assert.deepEqual(config.of('bastion').proxyJump, []);
    assert.equal(config.of('web').proxyJump.length, 1);
  });

  it('collects the known_hosts files of all hosts', () => {
    const config = parse(
      'UserKnownHostsFile ~/a /b\nHost x\nUserKnownHostsFile none\nUserKnownHostsFile /c\n',
    );
    assert.deepEqual(config.knownHostsFiles, ['/home/op/a', '/b', '/c']);
  });

  it('says nothing where there is none', () => {
    assert.deepEqual(parse('').of('web'), {
      hostName: undefined,
      port: undefined,
      user: undefined,
      hostKeyAlias: undefined,
      identityFiles: [],
      proxyJump: [],
    });
  });

  it('is refused as a whole, with every fault by file and line', () => {
    const text = [
      'Match host web exec "id"',
      'Include ~/.ssh/more',
      'Host',
      'Host web',
      'ProxyCommand nc %h %p',
      'ProxyCommand none',
      'Port 0',
      'Port 70000',
      'HostName -oProxyCommand=id',
      'HostName $(id)',
      'User a b@c',
      'User -x',
      'IdentityFile keys/relative',
      'IdentityFile ~/%u',
      'ProxyJump -x',
      'ProxyJump a:0',
      'HostKeyAlias a/b',
      'Port',
      'User "open',
    ].join('\n');
    assert.throws(
      () => parse('', text),
      (error) => {
        assert(error instanceof RuneError);
        assert.equal(error.name, 'CONFIGURATION_INVALID');
        const lines = error.facts.validationErrors?.map(({ field }) => Number(field.split(':')[1]));
        assert.deepEqual(lines, [1, 2, 3, 5, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17, 18, 19]);
        assert.match(error.message, /config1:1: Match is not supported; config1:2: Include is not supported/);
        return true;
      },
    );
  });

  describe('for runs', () => {
    let sshd: TestSshd;
    let on: TransportOn;
    let configPath: string;
    const { logger, lines } = recordingLogger();
    const signal = new AbortController().signal;
    const configure = (...text: string[]): Promise<void> => writeFile(configPath, `${text.join('\n')}\n`);
    before(async () => {
      sshd = await startSshd({ hostKeyTypes: ['ed25519'] });
      configPath = join(sshd.directory, 'ssh_config');
      await configure('Compression yes');
      const source = await readSshConfig({ paths: [configPath], home: '/root', recheckMs: 0, logger });
      on = await transportOn(sshd, {}, source);
      await writeFile(on.knownHostsPath, '');
    });
    after(async () => {
      await on.transport.close();
      await sshd.stop();
    });
    const probe = (changes: Parameters<TransportOn['target']>[0]) =>
      on.transport.probe(on.target({ address: 'web', port: 0, user: '', ...changes }), 10_000, signal);

    it('completes address, port, user, key and known_hosts name of a node', async () => {
      const own = join(sshd.directory, 'own_known_hosts');
      await writeFile(own, `the-web ${sshd.hostKeys[0]?.publicKey}\n`);
      await configure(
        'Host web',
        `HostName ${sshd.host}`,
        `Port ${sshd.port}`,
        `User ${sshd.users.unprivileged}`,
        `IdentityFile ${sshd.userKeyPath}`,
        'HostKeyAlias the-web',
        `UserKnownHostsFile ${own}`,
      );
      const target = on.target({ address: 'web', port: 0, user: '' });
      const { stdout } = await on.run(on.command('id -un', { target }));
      assert.equal(stdout, `${sshd.users.unprivileged}\n`);
      const found = await probe({});
      assert.deepEqual([found.authenticated, found.knownHostsName], [true, 'the-web']);
      // What the inventory says wins.
      assert.equal(
        (await on.run(on.command('id -un', { target: { ...target, user: 'root' } }))).stdout,
        'root\n',
      );
      assert.equal((await probe({ credential: 'wrong' })).error?.errorData?.name, 'AUTHENTICATION_FAILED');
      assert.equal((await probe({ port: 1 })).error?.errorData?.name, 'NODE_UNREACHABLE');
    });

    it('reaches a node through its ProxyJump, whose hosts it completes too', async () => {
      const known = join(sshd.directory, 'jump_known_hosts');
      await writeFile(known, `${sshd.knownHostsLines.join('\n')}\n`);
      await configure(
        'Host bastion',
        `User ${sshd.users.unprivileged}`,
        'Host web bastion',
        `HostName ${sshd.host}`,
        `Port ${sshd.port}`,
        `IdentityFile ${sshd.userKeyPath}`,
        `UserKnownHostsFile ${known}`,
        'Host web',
        'ProxyJump bastion',
      );
      assert.equal((await probe({ user: 'root' })).authenticated, true);
      assert.match(sshd.log(), /Accepted publickey for rune-test/);
      await appendFile(configPath, 'Host bastion\nProxyJump web\n');
      const error = (await probe({ user: 'root' })).error?.errorData;
      assert.match(error?.message ?? '', /The ProxyJump of bastion in ssh_config leads in a circle/);
    });

    it('names an identity file that cannot be used, and does not fall back to another credential', async () => {
      await configure('IdentityFile /none/such');
      const error = (await probe({ address: sshd.host, port: sshd.port, user: 'root' })).error?.errorData;
      assert.equal(error?.name, 'CREDENTIAL_UNUSABLE');
      assert.match(
        error.message,
        /"ssh_config: \/none\/such" cannot be used: its key file \/none\/such does not exist/,
      );
    });

    it('stays as it was when the file becomes unusable, and the log says why', async () => {
      await configure('User root', `IdentityFile ${sshd.userKeyPath}`);
      const pinned = {
        address: sshd.host,
        port: sshd.port,
        hostKeyFingerprints: [...sshd.hostKeyFingerprints],
      };
      assert.equal((await probe(pinned)).authenticated, true);
      await configure('Match all', 'User nobody');
      assert.equal((await probe(pinned)).authenticated, true);
      assert.match(String(lines.at(-1)?.['reason']), /ssh_config:1: Match is not supported/);
    });

    it('must be usable when the mediator starts', async () => {
      const options = { home: '/root', recheckMs: 0, logger };
      await configure('Include other');
      await assert.rejects(
        readSshConfig({ ...options, paths: [configPath] }),
        /ssh_config:1: Include is not supported/,
      );
      await assert.rejects(
        readSshConfig({ ...options, paths: ['/none/such'] }),
        /\/none\/such cannot be read/,
      );
      assert.ok(await readFile(configPath));
    });
  });
});
