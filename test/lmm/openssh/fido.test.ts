import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startSshd, type TestSshd } from '../../support/sshd.js';
import { opensshOn, type OpensshOn } from './openssh-on.js';

const run = promisify(execFile);

/** OpenSSH's own authenticator in software; test/install-requirements.sh puts it where Debian's openssh-tests does. */
const AUTHENTICATOR = '/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so';

describe('logging in with a FIDO key', () => {
  let sshd: TestSshd;
  let on: OpensshOn;
  let configFile: string;
  const keyFiles = new Map<string, string>();
  before(async () => {
    sshd = await startSshd({ rootOnly: true, hostKeyTypes: ['ed25519'] });
    for (const type of ['ed25519-sk', 'ecdsa-sk']) {
      const path = join(sshd.directory, type);
      await run('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', '', '-f', path, '-w', AUTHENTICATOR]);
      await appendFile(join(sshd.directory, 'authorized_keys'), await readFile(`${path}.pub`));
      keyFiles.set(type, path);
    }
    configFile = join(sshd.directory, 'ssh_config');
    await writeFile(configFile, `SecurityKeyProvider ${AUTHENTICATOR}\n`);
  });
  after(() => sshd.stop());
  afterEach(() => on.transport.close());

  const connect = async (options: { configFile?: string } = {}): Promise<OpensshOn> =>
    opensshOn(sshd, {
      ...options,
      credentials: Object.fromEntries(
        [...keyFiles].map(([type, path]) => [type, { client: 'openssh', keyFiles: [path] }]),
      ),
    });

  for (const [type, accepted] of [
    ['ed25519-sk', 'ED25519-SK'],
    ['ecdsa-sk', 'ECDSA-SK'],
  ] as const) {
    it(`of type ${type} takes the ssh of the system, and the authenticator that its configuration names`, async () => {
      on = await connect({ configFile });
      assert.equal(await on.say('echo hello', { credential: type }), 'hello\n');
      assert.match(sshd.log(), new RegExp(`^Accepted publickey for root .*: ${accepted} SHA256:`, 'm'));
    });
  }

  it('is refused where no authenticator is plugged in, and nothing waits for one', async () => {
    on = await connect();
    const error = await on.refusal({ credential: 'ed25519-sk' });
    assert.equal(error.name, 'CREDENTIAL_UNUSABLE', error.message);
    assert.match(error.message, /"ed25519-sk" cannot be used for web01: .*device not found/);
  });
});
