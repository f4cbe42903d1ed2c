import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { RuneError } from '../../../services/shared/errors.js';
import type { JumpHost, NodeTarget } from '../../../services/shared/gen/rune/v1/lmm.js';
import { startSshd, type TestSshd } from '../../support/sshd.js';
import { opensshOn, type OpensshOn } from './openssh-on.js';
import { expectError } from './expect-error.js';
import { opensshWorld, publicKey } from './openssh-world.js';

const run = promisify(execFile);

describe('connecting with the ssh of the system', () => {
  const world = opensshWorld({ hostKeyTypes: ['ed25519'] });

  describe('to a node with certificates', () => {
    let certified: TestSshd;
    let keys: OpensshOn;
    let authority: string;
    let stranger: string;
    let userKey: string;
    let certificate: string;

    before(async () => {
      keys = await opensshOn(world.sshd);
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
          bastion: { keyFiles: [world.sshd.userKeyPath] },
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
            address: world.sshd.host,
            port: world.sshd.port,
            user: 'rune-test',
            credential: 'bastion',
            hostKeyFingerprints: [world.ed25519().fingerprint],
            weakAlgorithms: false,
            ...changes,
          },
        ],
      });
      const made = await onCertified(await authorityLine(authority));
      const before = world.sshd.loginCount();
      assert.equal(await made.say('echo through', hop()), 'through\n');
      assert.equal(world.sshd.loginCount(), before + 1);
      const unpinned = { hostKeyFingerprints: [] };
      expectError(await made.refusal(hop(unpinned)), 'HOST_KEY_UNKNOWN', 'on the way', 'through bastion');
      await writeFile(
        made.knownHostsPath,
        `${await authorityLine(authority)}${world.ed25519().knownHostsLine}\n`,
      );
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
      await writeFile(made.knownHostsPath, `@revoked * ${world.ed25519().publicKey}\n`);
      expectError(await made.refusal(hop()), 'HOST_KEY_REVOKED', 'on the way');
      await made.transport.close();
      assert.deepEqual(made.processes(), []);
    });

    it('is refused by the node without the certificate', async () => {
      const error = await refusalWith(await authorityLine(authority), { credential: 'bare' });
      expectError(error, 'AUTHENTICATION_FAILED', '"bare"');
    });
  });
});
