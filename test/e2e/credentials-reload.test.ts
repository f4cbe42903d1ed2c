import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { eventually } from '../support/eventually.js';
import { sshNode, startWorld, type World } from '../support/world.js';

describe('the credentials of a mediator that runs', () => {
  let world: World;
  before(async () => {
    world = await startWorld({
      sshd: { hostKeyTypes: ['ed25519'] },
      lmm: { ssh: { files_recheck: '0ms', report_interval: '100ms' } },
      nodes: (sshd) => {
        const { user: _user, ...nobody } = sshNode(sshd, 'root');
        return { nobody };
      },
    });
  });
  after(() => world.stop());

  const probe = async (name = 'root'): Promise<string> => {
    const answer = await world.client.getNode({ name, probe: true });
    return answer.probe?.error?.errorData?.name ?? 'connected';
  };
  const configure = async (change: (credential: Record<string, unknown>) => unknown): Promise<void> => {
    const file = join(world.directory, 'lmm.yaml');
    const settings = parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    const credential = { key_files: [world.sshd.userKeyPath] };
    await writeFile(file, stringify({ ...settings, credentials: { default: change(credential) } }));
  };
  const logged = (message: string) =>
    eventually(() => world.lmm.log.find((line) => line.includes(`"message":"${message}"`)) ?? false, {
      label: `"${message}" in the log`,
    });

  it('follow its configuration file: the user of a node that has none, another key', async () => {
    assert.equal(await probe('nobody'), 'CREDENTIAL_UNUSABLE');
    await configure((credential) => ({ ...credential, user: 'root' }));
    assert.equal(await probe('nobody'), 'connected');
    await configure(() => ({ key_files: [join(world.sshd.directory, 'host_ed25519')] }));
    assert.equal(await probe(), 'AUTHENTICATION_FAILED');
    await configure((credential) => credential);
    assert.equal(await probe(), 'connected');
  });

  it('stay as they are when the file has a fault, which the log names on SIGHUP', async () => {
    await configure((credential) => ({ ...credential, keyfiles: [] }));
    world.lmm.kill('SIGHUP');
    const line = await logged('the credentials have changed and cannot be used: the old ones stay');
    assert.match(line, /lmm\.yaml:\d+: credentials\.default\.keyfiles is none of/);
    assert.equal(await probe(), 'connected');
  });

  it('leave their connections in the counts that the log reports', async () => {
    const counts = JSON.parse(await logged('ssh connections')) as Record<string, unknown>;
    for (const name of ['open', 'idle', 'waiting', 'handshakes', 'evictions']) {
      assert.equal(typeof counts[name], 'number', name);
    }
  });
});
