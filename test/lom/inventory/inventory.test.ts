import assert from 'node:assert/strict';
import { join } from 'node:path';
import { packageRoot } from '../../../services/shared/process/package-root.js';
import { loadInventory } from '../../support/load-inventory.js';
import { inventoryFiles } from './inventory-files.js';

describe('inventory', () => {
  const { load } = inventoryFiles();

  it('leaves the user of a node open, for its credential may have one', async () => {
    const inventory = await load('nodes:\n  a: {}\n');
    assert.equal(inventory.get('a').user, '');
  });

  it('knows where Systems Manager finds a node, by its own entry, its name or its groups', async () => {
    const inventory = await load(`
nodes:
  web01: {transport: ssm, instance_id: i-0123456789abcdef0, groups: [west]}
  i-0fedcba9876543210: {transports: [ssm, ssh], region: eu-central-1, role_arn: "arn:aws:iam::123456789012:role/rune"}
  plain: {groups: [west]}
groups:
  west: {defaults: {region: us-west-2}}
`);
    const { ssm, address } = inventory.get('web01');
    assert.deepEqual(ssm, { instanceId: 'i-0123456789abcdef0', region: 'us-west-2', roleArn: '' });
    assert.equal(address, 'i-0123456789abcdef0');
    assert.deepEqual(inventory.get('i-0fedcba9876543210').ssm, {
      instanceId: 'i-0fedcba9876543210',
      region: 'eu-central-1',
      roleArn: 'arn:aws:iam::123456789012:role/rune',
    });
    assert.equal(inventory.get('plain').ssm, undefined);
  });

  it('gives a node all that its entry says', async () => {
    const print = `SHA256:${'a'.repeat(43)}`;
    const { nodes, warnings } = await load(`
nodes:
  web01:
    address: 10.0.0.1
    port: 2222
    user: deploy
    transports: [ssh, local]
    credential: production
    host_key_fingerprints: ["${print}"]
    zone: eu-1
    labels: {role: web, kubernetes.io/arch: amd64}
    vars: {service: nginx, limits: [1, 2]}
    groups: [web]
    maintenance: true
    weak_algorithms: true
    run_as: nginx
    become: doas
groups:
  web:
`);
    assert.deepEqual(nodes, [
      {
        name: 'web01',
        transports: ['ssh', 'local'],
        address: '10.0.0.1',
        port: 2222,
        user: 'deploy',
        credential: 'production',
        hostKeyFingerprints: [print],
        zone: 'eu-1',
        labels: { role: 'web', 'kubernetes.io/arch': 'amd64' },
        groups: ['web'],
        vars: { service: 'nginx', limits: [1, 2] },
        maintenance: true,
        weakAlgorithms: true,
        jump: [],
        ssm: undefined,
        runAs: { user: 'nginx', become: 'doas' },
        lockKey: `SHA256:${'a'.repeat(43)}`,
      },
    ]);
    assert.deepEqual(warnings, []);
  });

  it('fills in what an entry leaves out', async () => {
    const inventory = await load('nodes:\n  web01.example.com: {user: root}\n  here: {transport: local}\n');
    const common = {
      port: 0,
      credential: '',
      hostKeyFingerprints: [],
      zone: '',
      labels: {},
      groups: [],
      vars: {},
      maintenance: false,
      weakAlgorithms: false,
      jump: [],
      ssm: undefined,
      runAs: undefined,
    };
    assert.deepEqual(inventory.nodes, [
      {
        ...common,
        name: 'here',
        address: 'localhost',
        user: '',
        transports: ['local'],
        lockKey: 'local:localhost',
      },
      {
        ...common,
        name: 'web01.example.com',
        address: 'web01.example.com',
        lockKey: 'web01.example.com:22',
        user: 'root',
        transports: ['ssh'],
      },
    ]);
  });

  it('may be empty, or several files', async () => {
    assert.deepEqual((await load('')).nodes, []);
    const inventory = await load(
      'nodes: {b: {user: x}}\n',
      'nodes: {a: {user: x}}\ngroups: {all: {nodes: [a, b]}}\n',
    );
    assert.deepEqual(
      inventory.nodes.map((node) => node.name),
      ['a', 'b'],
    );
    assert.deepEqual(inventory.get('b').groups, ['all']);
  });

  it('may say how to become another user, and leave it to each action which one', async () => {
    const inventory = await load('nodes:\n  a: {user: x, become: doas}\n');
    assert.deepEqual(inventory.get('a').runAs, { user: '', become: 'doas' });
  });

  it('finds a node by its exact name and suggests a near one', async () => {
    const inventory = await load('nodes: {web01: {user: x}}\n');
    assert.equal(inventory.find('web01')?.name, 'web01');
    assert.equal(inventory.find('WEB01'), undefined);
    assert.equal(inventory.find('constructor'), undefined);
    assert.throws(() => inventory.get('WEB01'), {
      name: 'NODE_NOT_FOUND',
      message: 'The inventory has no node "WEB01"; did you mean "web01"?',
    });
    assert.throws(() => inventory.get('db'), { message: 'The inventory has no node "db".' });
  });

  it('holds 10,000 nodes', async () => {
    const nodes = Array.from(
      { length: 10_000 },
      (_, index) => `  n${index}: {address: 10.0.${index >> 8}.${index & 255}}\n`,
    );
    const members = Array.from({ length: 10_000 }, (_, index) => `n${index}`).join(', ');
    const inventory = await load(
      `nodes:\n${nodes.join('')}groups:\n  all: {nodes: [${members}], defaults: {user: deploy}}\n`,
    );
    assert.equal(inventory.nodes.length, 10_000);
    assert.equal(inventory.groups.get('all')?.length, 10_000);
    assert.deepEqual(inventory.warnings, []);
    assert.equal(inventory.get('n9999').user, 'deploy');
  });

  it('loads the example that is shipped', async () => {
    const inventory = await loadInventory([join(packageRoot, 'deploy', 'inventory.example.yaml')]);
    assert(inventory.nodes.length > 0);
    assert.deepEqual(inventory.warnings, []);
  });
});
