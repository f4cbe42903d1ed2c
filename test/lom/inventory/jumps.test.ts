import assert from 'node:assert/strict';
import { inventoryFiles } from './inventory-files.js';

describe('the way to a node of an inventory', () => {
  const { load } = inventoryFiles();

  it('knows the whole way to a node: what it names, behind the way to the first of them', async () => {
    const { nodes } = await load(`
nodes:
  outer: {}
  middle: {jump: [outer]}
  inner: {jump: [middle, side]}
  side: {jump: []}
  plain: {}
`);
    assert.deepEqual(
      nodes.map(({ name, jump }) => [name, jump]),
      [
        ['inner', ['outer', 'middle', 'side']],
        ['middle', ['outer']],
        ['outer', []],
        ['plain', []],
        ['side', []],
      ],
    );
  });

  it('takes the way of a group, for hosts on that way only as far as themselves', async () => {
    const { nodes, warnings } = await load(`
nodes:
  bastion: {address: 192.0.2.1}
  gate: {address: 10.0.0.1}
  web01: {address: 10.0.0.2}
  away: {address: 10.0.0.2, jump: []}
  here: {transport: local}
groups:
  all: {nodes: [bastion, gate, web01, away, here], defaults: {jump: [bastion, gate]}}
`);
    assert.deepEqual(
      nodes.map(({ name, jump }) => [name, jump]),
      [
        ['away', []],
        ['bastion', []],
        ['gate', ['bastion']],
        ['here', []],
        ['web01', ['bastion', 'gate']],
      ],
    );
    // The same address at two places is two machines.
    assert.deepEqual(warnings, []);
  });
});
