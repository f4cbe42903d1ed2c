import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createCredentials, type CredentialConfig } from '../../../services/lmm/credentials.js';
import { createAuthWaysLoader } from '../../../services/lmm/transports/ssh/auth-ways.js';
import { RuneError } from '../../../services/shared/errors.js';

const run = promisify(execFile);
const PASSPHRASE = 'correct horse battery staple';

describe('credentials', () => {
  let directory: string;
  const path = (name: string): string => join(directory, name);

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'rune-credentials-'));
    const keygen = (name: string, type: string, passphrase = '', ...more: string[]) =>
      run('ssh-keygen', ['-q', '-t', type, '-N', passphrase, '-C', '', '-f', path(name), ...more]);
    await Promise.all([
      keygen('ed25519', 'ed25519'),
      keygen('ecdsa', 'ecdsa'),
      keygen('rsa', 'rsa', '', '-b', '2048'),
      keygen('rsa_pem', 'rsa', '', '-b', '2048', '-m', 'PEM'),
      keygen('encrypted', 'ed25519', PASSPHRASE),
      keygen('encrypted_pem', 'rsa', PASSPHRASE, '-b', '2048', '-m', 'PEM'),
      writeFile(path('passphrase'), `${PASSPHRASE}\n`),
      writeFile(path('wrong'), 'wrong\n'),
      writeFile(path('junk'), 'canary-7f3a is not a key'),
      writeFile(path('huge'), Buffer.alloc(100_000, 'x')),
    ]);
  });
  after(() => rm(directory, { recursive: true }));

  const about = { node: 'web', address: 'web01.example.org' };
  const load = (config: CredentialConfig) =>
    createAuthWaysLoader()(createCredentials({ default: config }).select('', about), 'deploy');
  const refusal = async (config: CredentialConfig): Promise<RuneError> => {
    try {
      await load(config);
    } catch (error) {
      assert(error instanceof RuneError);
      assert.equal(error.name, 'CREDENTIAL_UNUSABLE');
      return error;
    }
    return assert.fail('the credential was accepted');
  };

  it('are looked up by name, and a node that names none gets "default"', () => {
    const credentials = createCredentials({
      default: { keyFiles: [] },
      db: { keyFiles: [], user: 'postgres' },
    });
    assert.equal(credentials.select('', about).name, 'default');
    assert.equal(credentials.select('db', about).user, 'postgres');
  });

  for (const name of ['nope', '../../etc/shadow', '/etc/passwd', 'constructor', '__proto__']) {
    it(`has no credential ${JSON.stringify(name)} unless it is configured: a name is never a path`, () => {
      assert.throws(
        () => createCredentials({ default: { keyFiles: [] } }).select(name, about),
        (error: RuneError) =>
          error.name === 'CREDENTIAL_UNUSABLE' && error.message.includes(JSON.stringify(name)),
      );
    });
  }

  const ALLOWED: [string[] | undefined, string, boolean][] = [
    [undefined, 'web01.example.org', true],
    [[], 'web01.example.org', false],
    [['*.example.org'], 'WEB01.example.ORG', true],
    [['*.example.org'], 'web01.example.org.evil.net', false],
    [['*.example.org', '!db.example.org'], 'db.example.org', false],
    [['10.0.*'], '10.0.3.4', true],
    [['10.0.*'], '110.0.3.4', false],
  ];
  for (const [allowedHosts, address, allowed] of ALLOWED) {
    it(`with allowed_hosts ${JSON.stringify(allowedHosts)} ${allowed ? 'may' : 'may not'} be used for ${address}`, () => {
      const config = { keyFiles: [], ...(allowedHosts ? { allowedHosts } : {}) };
      const select = () => createCredentials({ default: config }).select('', { node: 'web', address });
      if (allowed) assert.equal(select().name, 'default');
      else
        assert.throws(
          select,
          (error: RuneError) => error.name === 'CREDENTIAL_NOT_ALLOWED' && /web /.test(error.message),
        );
    });
  }

  it('offer their keys in the order of the configuration, described by type and fingerprint', async () => {
    const ways = await load({ keyFiles: [path('ed25519'), path('ecdsa'), path('rsa'), path('rsa_pem')] });
    assert.deepEqual(
      ways.map((way) => way.label.split(' ')[0]),
      ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ssh-rsa', 'ssh-rsa'],
    );
    const { stdout } = await run('ssh-keygen', ['-lf', path('ed25519')]);
    assert.equal(ways[0]?.label, `ssh-ed25519 ${stdout.split(' ')[1]}`);
  });

  it('open encrypted keys of both formats with the passphrase from a file', async () => {
    const keyFiles = [path('encrypted'), path('encrypted_pem'), path('ed25519')];
    assert.equal((await load({ keyFiles, passphraseFile: path('passphrase') })).length, 3);
  });

  it('use a key file again as it is now when it has changed', async () => {
    const credentials = createCredentials({ default: { keyFiles: [path('rotating')] } });
    const loadWays = createAuthWaysLoader();
    const label = async () => (await loadWays(credentials.select('', about), 'deploy'))[0]?.label;
    await run('cp', [path('ed25519'), path('rotating')]);
    const before = await label();
    assert.equal(await label(), before);
    await run('cp', [path('ecdsa'), path('rotating')]);
    assert.match((await label()) ?? '', /^ecdsa/);
  });

  const UNUSABLE: [string, () => CredentialConfig, RegExp][] = [
    ['a missing key file', () => ({ keyFiles: [path('none')] }), /key file .*none does not exist/],
    ['a directory', () => ({ keyFiles: [directory] }), /is not a regular file/],
    ['a huge file', () => ({ keyFiles: [path('huge')] }), /is larger than/],
    [
      'an encrypted key without passphrase',
      () => ({ keyFiles: [path('encrypted')] }),
      /encrypted .*is encrypted, and the credential has no passphrase_file/,
    ],
    [
      'an encrypted PEM key without passphrase',
      () => ({ keyFiles: [path('encrypted_pem')] }),
      /is encrypted, and/,
    ],
    [
      'a wrong passphrase',
      () => ({ keyFiles: [path('encrypted')], passphraseFile: path('wrong') }),
      /the passphrase does not open .*encrypted/,
    ],
    [
      'a wrong passphrase of a PEM key',
      () => ({ keyFiles: [path('encrypted_pem')], passphraseFile: path('wrong') }),
      /the passphrase does not open/,
    ],
    [
      'a missing passphrase file',
      () => ({ keyFiles: [path('encrypted')], passphraseFile: path('none') }),
      /passphrase file .*none does not exist/,
    ],
    ['a file that is no key', () => ({ keyFiles: [path('junk')] }), /junk is not a private key/],
    ['a public key', () => ({ keyFiles: [path('ed25519.pub')] }), /is a public key, not a private one/],
    ['no key and no agent', () => ({ keyFiles: [] }), /names no key file and no agent/],
    [
      'one bad key among good ones',
      () => ({ keyFiles: [path('ed25519'), path('none')] }),
      /none does not exist/,
    ],
    [
      'an agent that is not there',
      () => ({ keyFiles: [], agent: path('no.sock') }),
      /no ssh-agent answers at .*no\.sock/,
    ],
  ];
  for (const [what, config, message] of UNUSABLE) {
    it(`are refused for ${what}, in words that name it and give no secret away`, async () => {
      const error = await refusal(config());
      assert.match(error.message, message);
      assert.match(error.message, /^The credential "default"/);
      assert.doesNotMatch(
        `${error.message} ${String(error.cause)}`,
        /canary|correct horse|wrong\b.*battery|BEGIN/,
      );
    });
  }

  it('are refused for a key that this process may not read', async () => {
    await run('cp', [path('ed25519'), path('secret')]);
    await chmod(path('secret'), 0o000);
    await chmod(directory, 0o755);
    const config = { keyFiles: [path('secret')] };
    process.seteuid?.(65534);
    try {
      assert.match((await refusal(config)).message, /may not be read by this process/);
    } finally {
      process.seteuid?.(0);
    }
  });
});
