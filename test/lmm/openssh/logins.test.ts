import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startAgent } from '../../support/ssh-agent.js';
import { opensshOn } from './openssh-on.js';
import { expectError } from './expect-error.js';
import { opensshWorld } from './openssh-world.js';

const run = promisify(execFile);

describe('connecting with the ssh of the system', () => {
  const world = opensshWorld({ hostKeyTypes: ['ed25519'] });

  describe('as a user', () => {
    it('whom the node refuses, tries it once and names user, key and what the node accepts', async () => {
      const { stdout } = await run('ssh-keygen', ['-lf', join(world.sshd.directory, 'host_ed25519.pub')]);
      const fingerprint = stdout.split(' ')[1] ?? assert.fail();
      const before = world.sshd.log().length;
      const error = await world.on.refusal({ credential: 'wrong' });
      assert.equal(
        world.sshd
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
      const before = world.sshd.log();
      expectError(await world.on.refusal({ credential: 'elsewhere' }), 'CREDENTIAL_NOT_ALLOWED');
      expectError(
        await world.on.refusal({ credential: 'missing' }),
        'CREDENTIAL_UNUSABLE',
        'no_such_key does not exist',
      );
      expectError(await world.on.refusal({ credential: 'nope' }), 'CREDENTIAL_UNUSABLE');
      assert.equal(world.sshd.log(), before);
    });

    it('with a key file that others may read, says so', async () => {
      const open = join(world.on.base, 'open key');
      await copyFile(world.sshd.userKeyPath, open);
      await chmod(open, 0o644);
      const own = await opensshOn(world.sshd, { credentials: { open: { keyFiles: [open] } } });
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
      await writeFile(join(world.on.base, 'secret'), 'hunter2\n');
      const secret = { file: join(world.on.base, 'secret') };
      const locked = await world.newKey('locked');
      await run('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'hunter2', '-f', locked]);
      const own = await opensshOn(world.sshd, {
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
      const agent = await startAgent(join(world.on.base, 'agent'));
      await run('ssh-add', ['-q', world.sshd.userKeyPath], {
        env: { ...process.env, SSH_AUTH_SOCK: agent.socketPath },
      });
      const own = await opensshOn(world.sshd, {
        credentials: { held: { keyFiles: [], agent: agent.socketPath } },
      });
      assert.equal(await own.say('echo "${SSH_AUTH_SOCK-none}"', { credential: 'held' }), 'none\n');
      await agent.stop();
      await own.transport.close();
      const late = await opensshOn(world.sshd, {
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
});
