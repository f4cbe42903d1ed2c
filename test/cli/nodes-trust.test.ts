import assert from 'node:assert/strict';
import { lstat, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EpsError } from '../../services/shared/gen/rune/v1/eps.js';
import { GetNodeResponse } from '../../services/shared/gen/rune/v1/lom.js';
import { type HostKey } from '../../services/shared/gen/rune/v1/run.js';
import { runeWorld } from '../support/rune-world.js';
import { WEB01, type ScriptedLom } from '../support/scripted-lom.js';
import { failure } from './events.js';

describe('rune nodes trust', () => {
  const { lomOf, rune, startOnTerminal } = runeWorld();

  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'rune-trust-'));
  });
  after(() => rm(directory, { recursive: true }));

  /** The words of the command, asked of this LOM. */
  const trust = (lom: ScriptedLom, ...more: string[]): string[] => [
    'nodes',
    'trust',
    'web01',
    ...more,
    '--server',
    lom.address,
  ];
  const presenting = (hostKeys: Partial<HostKey>[], error?: EpsError) => () => ({
    getNode: async () =>
      GetNodeResponse.fromPartial({
        node: { ...WEB01, hostKeyFingerprints: ['SHA256:old'] },
        probe: { hostKeys, knownHostsName: '[192.0.2.1]:2222', mediator: '127.0.0.1:50052', error },
      }),
  });
  const TWO = [
    { type: 'ssh-ed25519', fingerprint: 'SHA256:abc', publicKey: 'AAAAabc', accepted: true },
    { type: 'ssh-rsa', fingerprint: 'SHA256:def', publicKey: 'AAAAdef' },
  ];
  const inventory = async (): Promise<string> => {
    const file = join(directory, 'inventory.yaml');
    await writeFile(file, 'nodes:\n  web01: {user: ops} # ours\n', { mode: 0o640 });
    return file;
  };

  it('shows the keys, what was pinned before, and writes nothing unless it is told where', async () => {
    const lom = await lomOf(presenting(TWO));
    const { code, out, err } = await rune(trust(lom, '--yes'));
    assert.equal(code, 0);
    assert.equal(out, '');
    assert.match(
      err,
      /^web01 \(\[192\.0\.2\.1\]:2222, asked by the mediator 127\.0\.0\.1:50052\) presents:$/m,
    );
    assert.match(err, /^ {2}ssh-ed25519 +SHA256:abc +accepted already$/m);
    assert.match(err, /^ {2}ssh-rsa +SHA256:def +not accepted yet$/m);
    assert.match(err, /^ {2}pinned until now and not presented: SHA256:old$/m);
    assert.match(err, /^Nothing was written: name --inventory FILE/m);
  });

  it('--inventory pins them and says where; mode and comments of the file stay', async () => {
    const lom = await lomOf(presenting(TWO));
    const file = await inventory();
    const args = trust(lom, '--inventory', file);
    const { code, out } = await rune([...args, '--yes']);
    assert.equal(code, 0);
    assert.equal(out, `${file}:2 pins 2 host keys of web01.\n`);
    assert.equal(
      await readFile(file, 'utf8'),
      'nodes:\n  web01: { host_key_fingerprints: [SHA256:abc, SHA256:def],user: ops} # ours\n',
    );
    assert.equal((await lstat(file)).mode & 0o777, 0o640);
    const json = JSON.parse((await rune([...args, '--yes', '-o', 'json'])).out);
    assert.deepEqual([json.inventory, json.line, json.hostKeys.length], [file, 2, 2]);
  });

  it('--known-hosts prints lines and nothing else on standard output', async () => {
    const lom = await lomOf(presenting(TWO));
    const { out } = await rune(trust(lom, '--known-hosts', '-y'));
    assert.equal(out, '[192.0.2.1]:2222 ssh-ed25519 AAAAabc\n[192.0.2.1]:2222 ssh-rsa AAAAdef\n');
  });

  it('asks on a terminal, and writes after "yes" only', async () => {
    const lom = await lomOf(presenting(TWO));
    const file = await inventory();
    const before = await readFile(file, 'utf8');
    for (const [answer, code] of [
      ['no', 4],
      ['yes', 0],
    ] as const) {
      assert.equal(await readFile(file, 'utf8'), before);
      const process = startOnTerminal(trust(lom, '--inventory', file));
      await process.says('Type yes to pin these keys in');
      process.child.stdin!.write(`${answer}\n`);
      assert.equal(await process.exited, code);
    }
    assert.notEqual(await readFile(file, 'utf8'), before);
  });

  it('writes nothing without --yes where nobody can be asked', async () => {
    const lom = await lomOf(presenting(TWO));
    const file = await inventory();
    const before = await readFile(file, 'utf8');
    const { code, err } = await rune(trust(lom, '--inventory', file));
    assert.equal(code, 2);
    assert.match(err, /Nobody can be asked here: compare the keys, then add --yes\./);
    assert.equal(await readFile(file, 'utf8'), before);
  });

  it('leaves revoked keys out, and refuses where all are', async () => {
    const revoked = { ...TWO[1], revoked: true };
    const some = await lomOf(presenting([TWO[0]!, revoked]));
    const { out, err } = await rune(trust(some, '--known-hosts', '-y'));
    assert.equal(out, '[192.0.2.1]:2222 ssh-ed25519 AAAAabc\n');
    assert.match(err, /SHA256:def +REVOKED, and left out/);
    const all = await lomOf(presenting([revoked]));
    const none = await rune(trust(all, '--known-hosts', '-y'));
    assert.deepEqual([none.code, none.out], [6, '']);
    assert.match(none.err, /Every host key of web01 is revoked/);
  });

  it('ends with 6 where the node shows no key', async () => {
    const lom = await lomOf(presenting([], failure('NODE_UNREACHABLE', 'web01 is away.', 'web01')));
    const { code, err } = await rune(trust(lom, '-y'));
    assert.equal(code, 6);
    assert.match(err, /NODE_UNREACHABLE: web01 is away\./);
  });
});
