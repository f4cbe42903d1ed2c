import assert from 'node:assert/strict';
import { inventoryFiles } from './inventory-files.js';

describe('the lock of a node in an inventory', () => {
  const { load, faults } = inventoryFiles();

  it('warns of two names for one machine', async () => {
    const { warnings } = await load(`
nodes:
  a: {user: x, address: web01.example.com}
  b: {user: y, address: WEB01.example.com}
  c: {user: x, address: web01.example.com, port: 2222}
  d: {transport: local}
  e: {transport: local}
  f: {user: x, address: "::1"}
  g: {user: x, address: "::1"}
`);
    const advice =
      'mutating actions run on one of them at a time. Give each its own lock_key if they are several machines, or the same one to say that they are not.';
    assert.deepEqual(warnings, [
      `The nodes a, b share the lock web01.example.com:22: ${advice}`,
      `The nodes d, e share the lock local:localhost: ${advice}`,
      `The nodes f, g share the lock [::1]:22: ${advice}`,
    ]);
  });

  it('warns of names for one machine that do not share their lock, and of nothing where that is said', async () => {
    const fingerprint = `SHA256:${'a'.repeat(43)}`;
    const { warnings } = await load(`
nodes:
  a: {address: web01, host_key_fingerprints: ["${fingerprint}"]}
  b: {address: web01}
  c: {address: web02, lock_key: two}
  d: {address: web02, lock_key: two}
  e: {address: web03, lock_key: one}
`);
    assert.deepEqual(warnings, [
      'The nodes a, b share the address web01:22 and not their lock: give them the same lock_key if they are one machine.',
    ]);
  });

  it('locks a node by what it says, else by its pinned host key, else by where it is', async () => {
    const [first, second] = [`SHA256:${'A'.repeat(43)}`, `SHA256:${'b'.repeat(43)}`];
    const { nodes } = await load(`
nodes:
  a: {address: Web01, lock_key: machine-1, host_key_fingerprints: ["${first}"]}
  b: {address: Web01, host_key_fingerprints: ["${second}", "${first}"]}
  c: {address: Web01, port: 2222}
  d: {address: "2001:DB8::1", jump: [g, c]}
  e: {transport: local, zone: eu}
  f: {transport: local}
  g: {jump: []}
`);
    assert.deepEqual(
      nodes.map(({ lockKey }) => lockKey),
      [
        'machine-1',
        first,
        'web01:2222',
        '[2001:db8::1]:22/c/g',
        'local:eu:localhost',
        'local:localhost',
        'g:22',
      ],
    );
  });

  for (const key of ['', 'a b', 'a,b', 'x'.repeat(65), '-a']) {
    it(`refuses the lock_key ${JSON.stringify(key).slice(0, 10)}`, async () => {
      const found = await faults(`nodes:\n  a: {lock_key: "${key}"}\n`);
      assert.equal(found.length, 1);
      assert.match(found[0] ?? '', /nodes\.a\.lock_key must be a word/);
    });
  }
});
