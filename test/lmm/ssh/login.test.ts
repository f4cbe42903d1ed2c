import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { appendFile, readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import ssh2, { type AuthContext } from 'ssh2';
import type { AuthWay } from '../../../services/lmm/transports/ssh/auth-ways.js';
import { sha2Agent, sha2Key } from '../../../services/lmm/transports/ssh/sha2-signatures.js';
import { createLoginOrder } from '../../../services/lmm/transports/ssh/login-order.js';
import { startAgent, type TestAgent } from '../../support/ssh-agent.js';
import { startSshd, type SshdOptions, type TestSshd } from '../../support/sshd.js';
import { poolOn, type PoolOn } from './pool-on.js';

const run = promisify(execFile);
const USER = 'rune-test-password';
const PASSWORD = 'open sesame';

describe('logging in', () => {
  let sshd: TestSshd;
  let on: PoolOn;
  const begin = async (options: SshdOptions = {}): Promise<void> => {
    sshd = await startSshd({ hostKeyTypes: ['ed25519'], rootOnly: true, ...options });
    on = await poolOn(sshd);
  };
  const ends: (() => unknown)[] = [];
  afterEach(async () => {
    await on.pool.close();
    await sshd.stop();
    for (const end of ends.splice(0)) await end();
  });

  /** A server of the library that treats each login as `behave` says. */
  const serve = async (behave: (login: AuthContext) => void): Promise<number> => {
    const server = new ssh2.Server({ hostKeys: [await readFile(join(sshd.directory, 'host_ed25519'))] });
    server.on('connection', (client) => {
      client.on('error', () => undefined).on('authentication', behave);
      client.on('session', (accept) => {
        accept().on('exec', (acceptExec) => {
          const channel = acceptExec();
          channel.exit(0);
          channel.end('in\n');
        });
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ends.push(() => server.close());
    return (server.address() as AddressInfo).port;
  };

  describe('with a password', () => {
    const withPassword = (password: string) => on.target({ user: USER, config: { keyFiles: [], password } });
    before(async () => {
      await run('userdel', [USER]).catch(() => undefined); // Left by a run that was killed.
      await run('useradd', ['--system', '--shell', '/bin/bash', USER]);
      await run('sh', ['-c', 'echo "$0:$1" | chpasswd -c SHA512', USER, PASSWORD]);
    });
    after(() => run('userdel', [USER]));

    it('works where sshd takes one', async () => {
      await begin({ extraConfig: ['PasswordAuthentication yes'] });
      assert.equal((await on.say('id -un', withPassword(PASSWORD))).stdout, `${USER}\n`);
    });

    it('that is wrong is tried once', async () => {
      await begin({ extraConfig: ['PasswordAuthentication yes'] });
      const error = await on.refusal(withPassword('wrong'));
      assert.equal(error.name, 'AUTHENTICATION_FAILED');
      assert.match(error.message, /\(a password\); it accepts: publickey,? ?password/);
      assert.equal(sshd.log().match(/^Failed password/gm)?.length, 1);
      assert.doesNotMatch(error.message, /wrong/);
    });

    it('is not tried where sshd wants a key', async () => {
      await begin();
      const keyFiles = [join(sshd.directory, 'host_ed25519')];
      const error = await on.refusal(on.target({ config: { keyFiles, password: PASSWORD } }));
      assert.equal(error.name, 'AUTHENTICATION_FAILED');
      assert.doesNotMatch(error.message, /a password/);
    });
  });

  describe('to a server that', () => {
    const to = (port: number, password = PASSWORD) =>
      on.target({ port, pins: sshd.hostKeyFingerprints, config: { keyFiles: [], password } });

    it('asks for the password as a question, answers that one and no other', async () => {
      await begin();
      const answers: string[][] = [];
      const port = await serve((login) => {
        if (login.method !== 'keyboard-interactive') return login.reject(['keyboard-interactive']);
        login.prompt([{ prompt: 'Password: ', echo: false }], (first) => {
          answers.push(first);
          login.prompt([{ prompt: 'Code: ', echo: false }], (second) => {
            answers.push(second);
            if (first[0] === PASSWORD) login.accept();
            else login.reject(['keyboard-interactive']);
          });
        });
      });
      assert.equal((await on.say('true', to(port))).stdout, 'in\n');
      assert.deepEqual(answers, [[PASSWORD], ['']]);
      assert.equal((await on.refusal(to(port, 'wrong'))).name, 'AUTHENTICATION_FAILED');
      assert.equal(answers.length, 4);
    });

    it('wants a new password, ends at once with that reason', async () => {
      await begin();
      const port = await serve((login) => {
        if (login.method !== 'password') return login.reject(['password']);
        login.requestChange('Too old: ', () => undefined);
      });
      const error = await on.refusal(to(port));
      assert.equal(error.name, 'AUTHENTICATION_FAILED');
      assert.match(error.message, /web01 wants a new password for root/);
    });
  });

  describe('with an rsa key', () => {
    const makeKey = async (): Promise<string> => {
      const path = join(sshd.directory, 'user_rsa');
      await run('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-C', '', '-f', path]);
      await appendFile(join(sshd.directory, 'authorized_keys'), await readFile(`${path}.pub`));
      return path;
    };
    const withAgent = async (keyFile: string): Promise<TestAgent> => {
      const agent = await startAgent(join(sshd.directory, 'agent.sock'));
      ends.push(agent.stop);
      await run('ssh-add', ['-q', keyFile], { env: { ...process.env, SSH_AUTH_SOCK: agent.socketPath } });
      return agent;
    };

    it('signs with SHA-2, from a file and from an agent', async () => {
      await begin({ extraConfig: ['PubkeyAcceptedAlgorithms rsa-sha2-256,rsa-sha2-512'] });
      const keyFile = await makeKey();
      const agent = (await withAgent(keyFile)).socketPath;
      for (const config of [{ keyFiles: [keyFile] }, { keyFiles: [], agent }]) {
        assert.equal((await on.say('echo in', on.target({ config }))).stdout, 'in\n');
      }
    });

    it('makes no signature with SHA-1, neither from a file nor from an agent', async () => {
      await begin();
      const keyFile = await makeKey();
      const agent = ssh2.createAgent((await withAgent(keyFile)).socketPath);
      const parsed = ssh2.utils.parseKey(await readFile(keyFile));
      assert(!(parsed instanceof Error));
      const key = sha2Key(parsed);
      const data = Buffer.from('a login');
      const signedByAgent = (hash: 'sha1' | 'sha256'): Promise<unknown> =>
        new Promise((resolve) =>
          sha2Agent(agent).sign(parsed, data, { hash }, (error, signature) => resolve(error ?? signature)),
        );
      for (const signed of [key.sign(data, 'sha1'), key.sign(data), await signedByAgent('sha1')]) {
        assert(signed instanceof Error);
        assert.equal(signed.message, 'the node takes signatures with SHA-1 only from an rsa key');
      }
      for (const signed of [key.sign(data, 'sha256'), await signedByAgent('sha256')]) {
        assert(Buffer.isBuffer(signed));
        assert(parsed.verify(data, signed, 'sha256'));
      }
    });
  });
});

describe('the order of the ways to log in', () => {
  const way = (needs: AuthWay['needs'], label: string): AuthWay => ({
    needs,
    label,
    method: { type: 'none', username: 'root' },
  });
  const all = [
    way('publickey', 'first'),
    way('publickey', 'second'),
    way('password', 'a password'),
    way('keyboard-interactive', 'a password'),
  ];
  const CASES: [string, string[], string[]][] = [
    [
      'takes everything',
      ['publickey', 'password', 'keyboard-interactive'],
      ['first', 'second', 'a password'],
    ],
    ['takes passwords only', ['password'], ['first', 'a password']],
    ['asks questions only', ['keyboard-interactive'], ['first', 'a password']],
    ['takes nothing', [], ['first']],
  ];
  for (const [what, offered, expected] of CASES) {
    it(`is each once, for a node that ${what} after the first`, () => {
      const order = createLoginOrder(all);
      for (let next = order.next(undefined); next !== undefined;) next = order.next(offered);
      assert.deepEqual(order.tried(), expected);
    });
  }
});
