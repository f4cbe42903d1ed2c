import assert from 'node:assert/strict';
import { inventoryFiles } from './inventory-files.js';

describe('the groups of an inventory', () => {
  const { load, faults } = inventoryFiles();

  it('take members from both sides', async () => {
    const { groups } = await load(
      'nodes: {a: {user: x, groups: [g]}, b: {user: x}}\ngroups: {g: {nodes: [b, a]}, none: {}}\n',
    );
    assert.deepEqual(
      [...groups].map(([name, nodes]) => [name, nodes.map((node) => node.name)]),
      [
        ['g', ['a', 'b']],
        ['none', []],
      ],
    );
  });

  it('give defaults, labels and vars, and the node has the last word', async () => {
    const inventory = await load(`
nodes:
  a: {groups: [g]}
  b: {groups: [g], user: me, port: 1, zone: us, credential: own, transport: ssh, weak_algorithms: false, run_as: own, labels: {tier: two}, vars: {x: {own: 1}}}
groups:
  g:
    defaults: {user: deploy, port: 2222, zone: eu, credential: main, transport: local, weak_algorithms: true, run_as: app, become: doas}
    labels: {tier: one, team: ops}
    vars: {x: {from: group, deep: true}, y: 1}
`);
    const {
      name: _a,
      address: _b,
      groups: _c,
      hostKeyFingerprints: _d,
      maintenance: _e,
      ...a
    } = inventory.get('a');
    const {
      name: _f,
      address: _g,
      groups: _h,
      hostKeyFingerprints: _i,
      maintenance: _j,
      ...b
    } = inventory.get('b');
    assert.deepEqual(a, {
      user: 'deploy',
      port: 2222,
      zone: 'eu',
      credential: 'main',
      weakAlgorithms: true,
      jump: [],
      ssm: undefined,
      runAs: { user: 'app', become: 'doas' },
      lockKey: 'local:eu:localhost',
      transports: ['local'],
      labels: { tier: 'one', team: 'ops' },
      vars: { x: { from: 'group', deep: true }, y: 1 },
    });
    assert.deepEqual(b, {
      user: 'me',
      port: 1,
      zone: 'us',
      credential: 'own',
      weakAlgorithms: false,
      jump: [],
      ssm: undefined,
      runAs: { user: 'own', become: 'doas' },
      lockKey: 'b:1',
      transports: ['ssh'],
      labels: { tier: 'two', team: 'ops' },
      vars: { x: { own: 1 }, y: 1 },
    });
  });

  it('may say the same', async () => {
    const two =
      'groups: {g: {defaults: {user: x}, vars: {v: [1]}}, h: {defaults: {user: x}, vars: {v: [1]}}}\n';
    assert.deepEqual(await faults(`nodes: {a: {groups: [g, h]}}\n${two}`), []);
  });

  const conflict = (key: string): string =>
    `0.yaml:2 CONFLICT nodes.a gets different values of ${key} from the groups g and h: set it on the node`;
  const conflicts: [key: string, g: string, h: string, own: string][] = [
    ['user', 'defaults: {user: x}', 'defaults: {user: y}', 'user: me'],
    ['port', 'defaults: {user: x, port: 1}', 'defaults: {port: 2}', 'port: 3'],
    [
      'transports',
      'defaults: {user: x, transport: ssh}',
      'defaults: {transports: [local]}',
      'transport: local',
    ],
    [
      'labels.tier',
      'defaults: {user: x}, labels: {tier: one}',
      'labels: {tier: two}',
      'labels: {tier: three}',
    ],
    [
      'vars.password',
      'defaults: {user: x}, vars: {password: canary}',
      'vars: {password: 1}',
      'vars: {password: 2}',
    ],
  ];
  for (const [key, g, h, own] of conflicts) {
    it(`that disagree about ${key} are a fault naming both, unless the node decides`, async () => {
      const groups = `groups:\n  g: {${g}}\n  h: {${h}}\n`;
      assert.deepEqual(await faults(`nodes:\n  a: {groups: [h, g]}\n${groups}`), [conflict(key)]);
      assert.deepEqual(await faults(`nodes:\n  a: {groups: [h, g], ${own}}\n${groups}`), []);
    });
  }

  it('gives an action its configuration by node and group: the node before its groups, key by key', async () => {
    const inventory = await load(`
nodes:
  web01:
    user: root
    groups: [web, all]
    configuration: {gather-logs: {paths: [/srv]}}
  web02: {user: root, groups: [web]}
groups:
  web:
    configuration: {gather-logs: {paths: [/var/log/nginx], lines: 5}}
  all:
    configuration: {disk-cleanup: {days: 3}}
`);
    assert.deepEqual(inventory.configurationOf('web01', 'gather-logs'), { paths: ['/srv'], lines: 5 });
    assert.deepEqual(inventory.configurationOf('web01', 'disk-cleanup'), { days: 3 });
    assert.deepEqual(inventory.configurationOf('web02', 'gather-logs'), {
      paths: ['/var/log/nginx'],
      lines: 5,
    });
    assert.deepEqual(inventory.configurationOf('web02', 'disk-cleanup'), {});
    assert.deepEqual(inventory.configurationOf('web02', 'toString'), {});
    assert.deepEqual(
      inventory.configurations.map(({ path }) => path.join('.')),
      [
        'nodes.web01.configuration.gather-logs',
        'groups.web.configuration.gather-logs',
        'groups.all.configuration.disk-cleanup',
      ],
    );
  });

  it('refuses groups that give one node different configurations', async () => {
    const found = await faults(`
nodes:
  web01: {user: root, groups: [a, b]}
groups:
  a: {configuration: {noop: {x: 1}}}
  b: {configuration: {noop: {x: 2}}}
`);
    assert.deepEqual(found, [
      '0.yaml:3 CONFLICT nodes.web01 gets different values of configuration.noop.x from the groups a and b: set it on the node',
    ]);
  });
});
