import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readCredentialConfigs } from '../../../services/lmm/credentials/credential-config.js';
import type { Credential, CredentialConfig } from '../../../services/lmm/credentials/credentials.js';
import { createAuthWays, type AuthWay } from '../../../services/lmm/transports/ssh/auth-ways.js';
import {
  watchCredentials,
  type CredentialConfigs,
} from '../../../services/lmm/credentials/watch-credentials.js';
import { RuneError } from '../../../services/shared/errors.js';
import { recordingLogger } from '../../support/recording-logger.js';
import { rejectionOf } from '../../support/thrown-by.js';

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
  /** Credentials whose configuration a test can change, and what is logged of them. */
  const watch = (
    first: CredentialConfigs,
    { env = {}, configFile }: { env?: Record<string, string>; configFile?: string } = {},
  ) => {
    const { logger, lines } = recordingLogger();
    const authWays = createAuthWays();
    let configs: CredentialConfigs | RuneError = first;
    const credentials = watchCredentials({
      configs: first,
      reread: () => {
        if (configs instanceof RuneError) throw configs;
        return configs;
      },
      configFile,
      env,
      check: authWays.check,
      recheckMs: 0,
      logger,
    });
    return {
      lines,
      reload: credentials.reload,
      change: (next: CredentialConfigs | RuneError) => (configs = next),
      select: async (name = '', to = about): Promise<Credential> =>
        (await credentials.current()).select(name, to),
      ways: async (name = ''): Promise<readonly AuthWay[]> =>
        authWays.load((await credentials.current()).select(name, about), {
          user: 'deploy',
          weakAlgorithms: false,
        }),
    };
  };
  const refusal = async (config: CredentialConfig, env: Record<string, string> = {}): Promise<RuneError> => {
    const error = await rejectionOf(watch({ default: config }, { env }).ways());
    assert.equal(error.name, 'CREDENTIAL_UNUSABLE');
    return error;
  };

  it('are looked up by name, and a node that names none gets "default"', async () => {
    const credentials = watch({ default: { keyFiles: [] }, db: { keyFiles: [], user: 'postgres' } });
    assert.equal((await credentials.select()).name, 'default');
    assert.equal((await credentials.select('db')).user, 'postgres');
  });

  for (const name of ['nope', '../../etc/shadow', '/etc/passwd', 'constructor', '__proto__']) {
    it(`has no credential ${JSON.stringify(name)} unless it is configured: a name is never a path`, async () => {
      await assert.rejects(
        watch({ default: { keyFiles: [] } }).select(name),
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
    it(`with allowed_hosts ${JSON.stringify(allowedHosts)} ${allowed ? 'may' : 'may not'} be used for ${address}`, async () => {
      const config = { keyFiles: [], ...(allowedHosts ? { allowedHosts } : {}) };
      const selected = watch({ default: config }).select('', { node: 'web', address });
      if (allowed) assert.equal((await selected).name, 'default');
      else
        await assert.rejects(
          selected,
          (error: RuneError) => error.name === 'CREDENTIAL_NOT_ALLOWED' && /web /.test(error.message),
        );
    });
  }

  it('offer their keys in the order of the configuration, described by type and fingerprint', async () => {
    const keyFiles = ['ed25519', 'ecdsa', 'rsa', 'rsa_pem'].map(path);
    const ways = await watch({ default: { keyFiles } }).ways();
    assert.deepEqual(
      ways.map((way) => way.label.split(' ')[0]),
      ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ssh-rsa', 'ssh-rsa'],
    );
    const { stdout } = await run('ssh-keygen', ['-lf', path('ed25519')]);
    assert.equal(ways[0]?.label, `ssh-ed25519 ${stdout.split(' ')[1]}`);
  });

  it('open encrypted keys of both formats with the passphrase from a file or a variable', async () => {
    const keyFiles = [path('encrypted'), path('encrypted_pem'), path('ed25519')];
    const fromFile = watch({ default: { keyFiles, passphrase: { file: path('passphrase') } } });
    assert.equal((await fromFile.ways()).length, 3);
    const fromVariable = watch(
      { default: { keyFiles, passphrase: { variable: 'KEY_PASS' } } },
      { env: { KEY_PASS: PASSPHRASE } },
    );
    assert.equal((await fromVariable.ways()).length, 3);
  });

  it('take a password from a file or a variable, and hold none where none is configured', async () => {
    await writeFile(path('password'), 'open sesame\n');
    const credentials = watch(
      {
        default: { keyFiles: [path('ed25519')] },
        file: { keyFiles: [], password: { file: path('password') } },
        variable: { keyFiles: [], password: { variable: 'THE_PASS' } },
      },
      { env: { THE_PASS: 'open sesame' } },
    );
    for (const name of ['file', 'variable']) {
      assert.equal((await credentials.select(name)).password?.toString(), 'open sesame');
    }
    assert.equal((await credentials.select()).password, undefined);
  });

  describe('that change while the mediator runs', () => {
    const label = async (credentials: ReturnType<typeof watch>): Promise<string | undefined> =>
      (await credentials.ways())[0]?.label.split(' ')[0];

    it('are used as they are now, and a connection of the old key is not for the new one', async () => {
      await run('cp', [path('ed25519'), path('rotating')]);
      const credentials = watch({ default: { keyFiles: [path('rotating')] } });
      assert.equal(await label(credentials), 'ssh-ed25519');
      const before = await credentials.select();
      assert.equal(await credentials.select(), before);
      await run('cp', [path('ecdsa'), path('rotating')]);
      assert.match((await label(credentials)) ?? '', /^ecdsa/);
      assert.notEqual((await credentials.select()).version, before.version);
      assert.deepEqual(credentials.lines, [
        { level: 'info', message: 'the credentials were loaded again', credentials: ['default'] },
      ]);
    });

    it('stay as they were, all of them, when one has become unusable, and the log says why, once', async () => {
      await Promise.all(['first', 'second'].map((name) => run('cp', [path('ed25519'), path(name)])));
      const credentials = watch({
        default: { keyFiles: [path('first')] },
        other: { keyFiles: [path('second')] },
      });
      const before = await credentials.select();
      await run('cp', [path('ecdsa'), path('first')]);
      await writeFile(path('second'), 'half a ke');
      for (let i = 0; i < 3; i += 1) assert.equal(await credentials.select(), before);
      assert.equal(credentials.lines.length, 1);
      assert.match(
        String(credentials.lines[0]?.['reason']),
        /"other" cannot be used: .*second is not a private key/,
      );
      await run('cp', [path('ecdsa'), path('second')]);
      assert.match((await label(credentials)) ?? '', /^ecdsa/);
    });

    it('follow the configuration file, unless it has a fault', async () => {
      const configFile = path('lmm.yaml');
      await writeFile(configFile, '1');
      const credentials = watch({ default: { keyFiles: [path('ed25519')] } }, { configFile });
      const before = await credentials.select();
      credentials.change({ default: { keyFiles: [path('ecdsa')], user: 'new' } });
      await writeFile(configFile, '22');
      assert.equal((await credentials.select()).user, 'new');
      credentials.change(new RuneError('CONFIGURATION_INVALID', 'lmm.yaml:3: no such setting'));
      await writeFile(configFile, '333');
      assert.equal((await credentials.select()).user, 'new');
      assert.notEqual(before.version, (await credentials.select()).version);
      assert.match(String(credentials.lines.at(-1)?.['reason']), /lmm.yaml:3/);
      credentials.change({});
      await writeFile(configFile, '4444');
      await assert.rejects(credentials.select(), /has no credential "default"/);
    });

    it('are looked at again on request, and the log says so even if nothing has changed', async () => {
      const credentials = watch({ default: { keyFiles: [path('ed25519')] } });
      const before = await credentials.select();
      await credentials.reload();
      assert.equal(await credentials.select(), before);
      assert.deepEqual(
        credentials.lines.map(({ message }) => message),
        ['the credentials have not changed'],
      );
    });

    it('do not wait for one that could not be used before', async () => {
      await run('cp', [path('ed25519'), path('good')]);
      const credentials = watch({
        default: { keyFiles: [path('good')] },
        broken: { keyFiles: [path('none')] },
      });
      assert.equal(await label(credentials), 'ssh-ed25519');
      await run('cp', [path('ecdsa'), path('good')]);
      assert.match((await label(credentials)) ?? '', /^ecdsa/);
      await assert.rejects(credentials.select('broken'), /key file .*none does not exist/);
    });
  });

  const UNUSABLE: [string, () => CredentialConfig, RegExp][] = [
    ['a missing key file', () => ({ keyFiles: [path('none')] }), /key file .*none does not exist/],
    ['a directory', () => ({ keyFiles: [directory] }), /is not a regular file/],
    ['a huge file', () => ({ keyFiles: [path('huge')] }), /is larger than/],
    [
      'an encrypted key without passphrase',
      () => ({ keyFiles: [path('encrypted')] }),
      /encrypted .*is encrypted, and the credential has no passphrase_file or passphrase_variable/,
    ],
    [
      'an encrypted PEM key without passphrase',
      () => ({ keyFiles: [path('encrypted_pem')] }),
      /is encrypted, and/,
    ],
    [
      'a wrong passphrase',
      () => ({ keyFiles: [path('encrypted')], passphrase: { file: path('wrong') } }),
      /the passphrase does not open .*encrypted/,
    ],
    [
      'a wrong passphrase of a PEM key',
      () => ({ keyFiles: [path('encrypted_pem')], passphrase: { variable: 'WRONG' } }),
      /the passphrase does not open/,
    ],
    [
      'a missing passphrase file',
      () => ({ keyFiles: [path('encrypted')], passphrase: { file: path('none') } }),
      /passphrase file .*none does not exist/,
    ],
    [
      'a variable that is not set',
      () => ({ keyFiles: [], password: { variable: 'NOT_THERE' } }),
      /its password variable NOT_THERE is not set/,
    ],
    ['a file that is no key', () => ({ keyFiles: [path('junk')] }), /junk is not a private key/],
    ['a public key', () => ({ keyFiles: [path('ed25519.pub')] }), /is a public key, not a private one/],
    ['no key and no agent', () => ({ keyFiles: [] }), /names no key file, no agent and no password/],
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
      const error = await refusal(config(), { WRONG: 'wrong' });
      assert.match(error.message, message);
      assert.match(error.message, /^The credential "default"/);
      assert.doesNotMatch(
        `${error.message} ${String(error.cause)}`,
        /canary|correct horse|wrong\b.*battery|BEGIN/,
      );
    });
  }

  it('are not looked into if they are for the ssh of the system, which knows other keys', async () => {
    const { select } = watch({ default: { keyFiles: [path('junk')], client: 'openssh' } });
    assert.equal((await select()).client, 'openssh');
  });

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

  const MALFORMED: [unknown, string][] = [
    [{ a: { key_files: ['k'], keyfile: 'x' } }, 'a.keyfile is none of'],
    [{ a: {} }, 'a needs key_files, agent, password_file or password_variable'],
    [{ a: { key_files: [] } }, 'a needs key_files'],
    [{ a: { agent: '' } }, 'a.agent must be a text'],
    [
      { a: { password_file: 'x', password_variable: 'Y' } },
      'a.password_variable is given together with password_file: keep one of them',
    ],
    [{ a: { key_files: ['k'], client: 'putty' } }, 'a.client must be openssh, or left out'],
    [{ a: { key_files: ['k'], certificate_files: ['c'] } }, 'a.certificate_files needs client: openssh'],
    [{ a: { agent: 's', gssapi: true } }, 'a.gssapi needs client: openssh'],
    [{ a: { agent: 's', client: 'openssh', gssapi: 'yes' } }, 'a.gssapi must be true or false'],
    [
      { a: { key_files: ['k'], client: 'openssh', passphrase_file: 'p' } },
      'a.passphrase_file is not possible with client: openssh',
    ],
  ];
  for (const [raw, fault] of MALFORMED) {
    it(`are refused in the configuration as ${JSON.stringify(raw)}`, () => {
      const faults: string[] = [];
      readCredentialConfigs(raw, (message, at = []) => faults.push(`${at.join('.')} ${message}`));
      assert.equal(faults.length, 1);
      assert.ok(faults[0]?.startsWith(fault), faults[0]);
    });
  }
});
