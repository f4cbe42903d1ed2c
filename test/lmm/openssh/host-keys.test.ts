import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { opensshOn } from './openssh-on.js';
import { expectError } from './expect-error.js';
import { opensshWorld, publicKey } from './openssh-world.js';

const run = promisify(execFile);

describe('connecting with the ssh of the system', () => {
  const world = opensshWorld({ hostKeyTypes: ['ed25519'] });

  describe('to a node whose host key', () => {
    it('is unknown, is refused before the login', async () => {
      await writeFile(world.on.knownHostsPath, '');
      const logins = world.sshd.log().match(/^Accepted/gm)?.length;
      expectError(
        await world.on.refusal(),
        'HOST_KEY_UNKNOWN',
        world.ed25519().fingerprint,
        'is not in',
        'nothing is pinned',
      );
      assert.equal(world.sshd.log().match(/^Accepted/gm)?.length, logins);
    });

    it('has changed, is refused with both fingerprints, file and line', async () => {
      const other = await world.newKey('other');
      const { stdout } = await run('ssh-keygen', ['-lf', `${other}.pub`]);
      await writeFile(
        world.on.knownHostsPath,
        `# one\n[127.0.0.1]:${world.sshd.port} ${await publicKey(other)}\n`,
      );
      const error = await world.on.refusal();
      expectError(
        error,
        'HOST_KEY_CHANGED',
        world.ed25519().fingerprint,
        stdout.split(' ')[1] ?? '',
        `${world.on.knownHostsPath}:2`,
      );
    });

    it('is revoked, is refused even if it is pinned, with file and line', async () => {
      const line = `@revoked * ${world.ed25519().publicKey}\n${world.ed25519().knownHostsLine}\n`;
      await writeFile(world.on.knownHostsPath, line);
      for (const pins of [[], [world.ed25519().fingerprint]]) {
        const error = await world.on.refusal({ hostKeyFingerprints: pins });
        expectError(error, 'HOST_KEY_REVOKED', world.ed25519().fingerprint, `${world.on.knownHostsPath}:1`);
      }
    });

    it('is pinned, is accepted without known_hosts, and no other key is', async () => {
      const pinned = { hostKeyFingerprints: ['SHA256:'.padEnd(50, 'A'), world.ed25519().fingerprint] };
      await writeFile(world.on.knownHostsPath, '');
      assert.equal(await world.on.say('echo yes', pinned), 'yes\n');
      await writeFile(world.on.knownHostsPath, `${world.sshd.knownHostsLines.join('\n')}\n`);
      const others = { hostKeyFingerprints: ['SHA256:'.padEnd(50, 'A')] };
      expectError(await world.on.refusal(others), 'HOST_KEY_CHANGED', 'the inventory pins SHA256:AAA');
    });

    it('is pinned, is refused where the ssh of the mediator is too old to check a pin', async () => {
      const old = await opensshOn(world.sshd, { program: { version: 'OpenSSH_8.4p1', checksPins: false } });
      const error = await old.refusal({ hostKeyFingerprints: world.sshd.hostKeyFingerprints.slice() });
      expectError(error, 'HOST_KEY_UNKNOWN', 'OpenSSH_8.4p1', 'takes OpenSSH 8.5');
      assert.equal(await old.say('echo yes'), 'yes\n');
      await old.transport.close();
    });

    it('stands hashed in the file or is matched by a pattern, is found', async () => {
      await run('ssh-keygen', ['-H', '-f', world.on.knownHostsPath]);
      assert.doesNotMatch(await readFile(world.on.knownHostsPath, 'utf8'), /127/);
      assert.equal(await world.on.say('echo hashed'), 'hashed\n');
      await writeFile(world.on.knownHostsPath, `[127.0.0.?]:* ${world.ed25519().publicKey}\n`);
      assert.equal(await world.on.say('echo pattern', { user: 'rune-test' }), 'pattern\n');
    });

    it('becomes revoked while a connection is open, gets no further run', async () => {
      assert.equal(await world.on.say('echo yes'), 'yes\n');
      await writeFile(world.on.knownHostsPath, `@revoked * ${world.ed25519().publicKey}\n`);
      expectError(await world.on.refusal(), 'HOST_KEY_REVOKED');
    });
  });
});
