import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ownCredential } from '../../services/cli/local-services/own-credential.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';

const run = promisify(execFile);

describe("the person's own SSH credential", () => {
  let home: TempDirectory;
  beforeEach(async () => {
    home = await makeTempDirectory();
    await home.write({ '.ssh/id_ecdsa': 'no private key\n' });
  });
  afterEach(() => home.remove());

  const generate = async (name: string, passphrase: string, ...options: string[]) => {
    const file = join(home.path, '.ssh', name);
    await run('ssh-keygen', ['-q', '-N', passphrase, '-f', file, ...options]);
    return file;
  };
  const found = (env: Record<string, string> = {}) => ownCredential({ HOME: home.path, ...env });

  it('is every key that needs no passphrase', async () => {
    const ed25519 = await generate('id_ed25519', '', '-t', 'ed25519');
    const rsa = await generate('id_rsa', '', '-t', 'rsa', '-b', '2048', '-m', 'PEM');
    assert.deepEqual(await found(), { key_files: [ed25519, rsa] });
  });

  it('leaves out keys that nobody could unlock', async () => {
    await generate('id_ed25519', 'secret', '-t', 'ed25519');
    await generate('id_rsa', 'secret', '-t', 'rsa', '-b', '2048', '-m', 'PEM');
    assert.equal(await found(), undefined);
  });

  it('holds the agent, if one listens', async () => {
    const socket = join(home.path, 'agent');
    assert.equal(await found({ SSH_AUTH_SOCK: socket }), undefined);
    const agent = createServer().listen(socket);
    await once(agent, 'listening');
    try {
      assert.deepEqual(await found({ SSH_AUTH_SOCK: socket }), { agent: socket });
    } finally {
      agent.close();
    }
  });
});
