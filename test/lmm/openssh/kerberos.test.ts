import assert from 'node:assert/strict';
import { startKerberos, type TestKerberos } from '../../support/kerberos.js';
import { startSshd, type TestSshd } from '../../support/sshd.js';
import { makeTempDirectory, type TempDirectory } from '../../support/temp-directory.js';
import { opensshOn, type OpensshOn } from './openssh-on.js';

describe('logging in with a Kerberos ticket', () => {
  let directory: TempDirectory;
  let realm: TestKerberos;
  let sshd: TestSshd;
  let on: OpensshOn;
  before(async () => {
    directory = await makeTempDirectory();
    realm = await startKerberos(directory.path);
    sshd = await startSshd({
      rootOnly: true,
      hostKeyTypes: ['ed25519'],
      extraConfig: ['GSSAPIAuthentication yes', 'GSSAPIStrictAcceptorCheck no'],
      env: realm.serverEnv,
    });
  });
  after(async () => {
    await sshd.stop();
    await realm.stop();
    await directory.remove();
  });
  beforeEach(async () => {
    await realm.login();
    on = await opensshOn(sshd, {
      env: realm.clientEnv,
      credentials: {
        ticket: { client: 'openssh', gssapi: true, keyFiles: [] },
        key: { client: 'openssh', keyFiles: [sshd.userKeyPath] },
      },
    });
  });
  afterEach(() => on.transport.close());

  it('needs no key', async () => {
    assert.equal(await on.say('echo hello', { credential: 'ticket' }), 'hello\n');
    assert.match(sshd.log(), /^Accepted gssapi-with-mic for root /m);
  });

  it('is refused without one, and says which credential it was', async () => {
    await realm.logout();
    const error = await on.refusal({ credential: 'ticket' });
    assert.equal(error.name, 'AUTHENTICATION_FAILED');
    assert.match(error.message, /"ticket"/);
  });

  it('is left to credentials that ask for it', async () => {
    const before = sshd.log().length;
    assert.equal(await on.say('echo hello', { credential: 'key' }), 'hello\n');
    assert.doesNotMatch(sshd.log().slice(before), /gssapi/);
  });
});
