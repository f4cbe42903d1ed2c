import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from './eventually.js';
import { startSshd, type TestSshd } from './sshd.js';

const run = promisify(execFile);

function sshArgs(sshd: TestSshd, user: string, command: string): string[] {
  const options = [
    'BatchMode=yes',
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'LogLevel=ERROR',
  ];
  const flags = options.flatMap((option) => ['-o', option]);
  return [
    '-F',
    'none',
    ...flags,
    '-i',
    sshd.userKeyPath,
    '-p',
    String(sshd.port),
    `${user}@${sshd.host}`,
    command,
  ];
}

describe('the test sshd', () => {
  it('logs in root and an unprivileged user, each in a home of its own', async () => {
    const sshd = await startSshd({ loginFiles: { '.bashrc': 'FROM_LOGIN_FILE=yes\n' } });
    try {
      for (const user of Object.values(sshd.users)) {
        const { stdout } = await run('ssh', sshArgs(sshd, user, 'echo "$(id -un) $HOME $FROM_LOGIN_FILE"'));
        assert.equal(stdout.trim(), `${user} ${sshd.home(user)} yes`);
      }
      assert.equal(sshd.loginCount(), 2);
    } finally {
      await sshd.stop();
    }
  });

  it('leaves no process and no file, not even those of a killed listener or a command that left its session', async () => {
    const sshd = await startSshd({ hostKeyTypes: ['ed25519'] });
    const client = spawn('ssh', sshArgs(sshd, 'root', 'setsid sleep 300 </dev/null & sleep 301'), {
      stdio: 'ignore',
    });
    const closed = new Promise((resolve) => client.once('close', resolve));
    const alive = await eventually(() => (sshd.descendants().length >= 4 ? sshd.descendants() : false), {
      label: 'the session and its sleeps',
    });
    sshd.signalListener('SIGKILL');
    await sshd.stop();
    await closed;
    assert.deepEqual(
      alive.filter((pid) => existsSync(`/proc/${pid}/exe`)),
      [],
    );
    assert.equal(existsSync(join(sshd.directory)), false);
  });
});
