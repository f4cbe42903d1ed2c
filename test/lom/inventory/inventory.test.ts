import assert from 'node:assert/strict';
import { join } from 'node:path';
import { RuneError } from '../../../services/shared/errors.js';
import { packageRoot } from '../../../services/shared/process/package-root.js';
import { createSchemaCompiler } from '../../../services/shared/schema/schema.js';
import type { Inventory } from '../../../services/lom/inventory/inventory.js';
import { loadInventory } from '../../support/load-inventory.js';
import { makeTempDirectory, type TempDirectory } from '../../support/temp-directory.js';

const schemas = createSchemaCompiler();

describe('inventory', () => {
  let directory: TempDirectory;
  beforeEach(async () => {
    directory = await makeTempDirectory();
  });
  afterEach(() => directory.remove());

  /** The inventory of files `0.yaml`, `1.yaml`, … with these texts. */
  async function load(...texts: string[]): Promise<Inventory> {
    await directory.write(Object.fromEntries(texts.map((text, index) => [`${index}.yaml`, text])));
    return loadInventory(
      texts.map((_, index) => join(directory.path, `${index}.yaml`)),
      schemas,
    );
  }

  /** Every fault of these files, one `file:line REASON description` each. */
  async function faults(...texts: string[]): Promise<string[]> {
    try {
      await load(...texts);
    } catch (thrown) {
      assert(thrown instanceof RuneError, String(thrown));
      assert.equal(thrown.name, 'CONFIGURATION_INVALID');
      return (thrown.facts.validationErrors ?? []).map(({ field, reason, description }) =>
        `${field} ${reason} ${description}`.replaceAll(`${directory.path}/`, ''),
      );
    }
    return [];
  }

  const NAME =
    'is not a good name: use letters, digits, ".", "_" and "-", begin with a letter or digit, at most 253 characters';
  const USER =
    'must be a login name: letters, digits, ".", "_" and "-", beginning with a letter or "_", at most 32 characters';
  const WORD =
    'must be a word of letters, digits, ".", "_" and "-", beginning with a letter or digit, at most 64 characters';
  const ADDRESS = 'must be a host name or an IP address, and nothing else';

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

  it('asks for what Systems Manager needs to find a node', async () => {
    assert.deepEqual(await faults('nodes:\n  web01: {transport: ssm, role_arn: admin}\n'), [
      '0.yaml:2 ROLE_ARN nodes.web01.role_arn must be the ARN of an IAM role: "arn:aws:iam::", 12 digits, ":role/" and its name',
    ]);
    assert.deepEqual(await faults('nodes:\n  web01: {transport: ssm}\n'), [
      '0.yaml:2 REQUIRED nodes.web01.instance_id is required for the transport ssm',
      '0.yaml:2 REQUIRED nodes.web01.region is required for the transport ssm',
    ]);
    assert.deepEqual(
      await faults('nodes:\n  web01: {transport: ssm, instance_id: web01, region: nowhere}\n'),
      [
        '0.yaml:2 REGION nodes.web01.region must be the name of an AWS region, such as eu-central-1',
        '0.yaml:2 INSTANCE_ID nodes.web01.instance_id must be the id of an instance: "i-" or "mi-" and 8 to 17 hexadecimal digits',
      ],
    );
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

  describe('groups', () => {
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
  });

  describe('refuses', () => {
    const nodeWith = (entry: string): string => `nodes:\n  a:\n    user: x\n    ${entry}\n`;
    const cases: [title: string, texts: string[], expected: string[]][] = [
      ['what is no map', ['- a\n'], ['0.yaml:1 TYPE the file must be an object']],
      ['an unknown top key', ['nodes: {}\nhosts: {}\n'], ['0.yaml:2 UNKNOWN hosts is not known']],
      [
        'an unknown key of a node',
        [nodeWith('adress: 10.0.0.1')],
        ['0.yaml:4 UNKNOWN nodes.a.adress is not known; did you mean "address"?'],
      ],
      [
        'an unknown key of a group',
        ['groups:\n  g:\n    user: x\n'],
        ['0.yaml:3 UNKNOWN groups.g.user is not known'],
      ],
      [
        'an unknown default',
        ['groups:\n  g:\n    defaults: {usr: x}\n'],
        ['0.yaml:3 UNKNOWN groups.g.defaults.usr is not known; did you mean "user"?'],
      ],
      ['a node that is no map', ['nodes:\n  a: 10.0.0.1\n'], ['0.yaml:2 TYPE nodes.a must be an object']],
      [
        'a port out of range',
        [nodeWith('port: 65536')],
        ['0.yaml:4 MAXIMUM nodes.a.port must be 65535 or less'],
      ],
      ['a port of zero', [nodeWith('port: 0')], ['0.yaml:4 MINIMUM nodes.a.port must be 1 or more']],
      [
        'a transport that does not exist',
        [nodeWith('transport: carrier-pigeon')],
        ['0.yaml:4 ENUM nodes.a.transport must be one of "ssh", "openssh", "ssm", "local"'],
      ],
      [
        'no transport at all',
        [nodeWith('transports: []')],
        ['0.yaml:4 MIN_ITEMS nodes.a.transports must have at least 1 item'],
      ],
      [
        'both ways to name transports',
        [nodeWith('transport: ssh\n    transports: [ssh]')],
        ['0.yaml:4 CONFLICT nodes.a.transport is given together with transports: keep one of them'],
      ],
      [
        'a label that is a number',
        [nodeWith('labels: {rack: 12}')],
        ['0.yaml:4 TYPE nodes.a.labels.rack must be a string'],
      ],
      [
        'a label with a control character',
        [nodeWith('labels: {rack: "a\\tb"}')],
        ['0.yaml:4 LABEL nodes.a.labels.rack must not hold control characters'],
      ],
      [
        'a label with a bad key',
        [nodeWith('labels: {"a b": x}')],
        [
          '0.yaml:4 LABEL nodes.a.labels["a b"] is not a good label: use letters, digits, ".", "_", "-" and "/", begin with a letter or digit, at most 63 characters',
        ],
      ],
      [
        'a way over a node that is not defined',
        ['nodes:\n  bastion: {}\n  a:\n    jump: [bastoin]\n'],
        [
          '0.yaml:4 UNKNOWN nodes.a.jump names the node "bastoin", which is not defined; did you mean "bastion"?',
        ],
      ],
      [
        'a way over a node without ssh',
        ['nodes:\n  here: {transport: local}\n  a: {jump: [here]}\n'],
        ['0.yaml:3 TRANSPORT nodes.a.jump names the node "here", which is not reached by ssh'],
      ],
      [
        'a way over the node itself',
        ['nodes:\n  a: {jump: [a]}\n'],
        ['0.yaml:2 CIRCLE nodes.a.jump leads in a circle: "a", "a"'],
      ],
      [
        'a way in a circle',
        ['nodes:\n  a: {jump: [b]}\n  b: {jump: [a]}\n'],
        [
          '0.yaml:3 CIRCLE nodes.b.jump leads in a circle: "a", "b", "a"',
          '0.yaml:2 CIRCLE nodes.a.jump leads in a circle: "b", "a", "b"',
        ],
      ],
      [
        'a way that is too long',
        [
          'nodes:\n  a: {}\n  b: {jump: [a]}\n  c: {}\n  d: {jump: [b, e, f, g, h, i, j, c]}\n  e: {}\n  f: {}\n  g: {}\n  h: {}\n  i: {}\n  j: {}\n',
        ],
        ['0.yaml:5 TOO_MANY nodes.d.jump leads through 9 nodes: at most 8 are possible'],
      ],
      [
        'a name that cannot be an address, without one',
        ['nodes:\n  a_: {user: x}\n'],
        ['0.yaml:2 REQUIRED nodes.a_.address is required: the name of this node cannot serve as its address'],
      ],
      [
        'a group that is not defined',
        [nodeWith('groups: [wbe]') + 'groups: {web: {}}\n'],
        [
          '0.yaml:4 UNKNOWN nodes.a.groups[0] names the group "wbe", which is not defined; did you mean "web"?',
        ],
      ],
      [
        'a member that is not defined',
        ['nodes: {web01: {user: x}}\ngroups:\n  web:\n    nodes:\n      - web01\n      - wbe01\n'],
        [
          '0.yaml:6 UNKNOWN groups.web.nodes[1] names the node "wbe01", which is not defined; did you mean "web01"?',
        ],
      ],
      [
        'two names that differ by case only',
        ['nodes:\n  web01: {user: x}\n  WEB01: {user: x}\n'],
        ['0.yaml:3 DUPLICATE nodes.WEB01 has the name of nodes.web01 in 0.yaml:2'],
      ],
      [
        'one name in two files',
        ['nodes: {a: {user: x}}\n', '\nnodes: {a: {user: x}}\n'],
        ['1.yaml:2 DUPLICATE nodes.a has the name of nodes.a in 0.yaml:1'],
      ],
      [
        'a group with the name of a node',
        ['nodes: {web: {user: x}}\ngroups: {Web: {}}\n'],
        ['0.yaml:2 DUPLICATE groups.Web has the name of nodes.web in 0.yaml:1'],
      ],
      [
        'a node given twice',
        ['nodes:\n  a: {user: x}\n  a: {user: y}\n'],
        ['0.yaml:3 YAML the file holds the key "a" twice'],
      ],
      [
        'vars that are too deep',
        [nodeWith(`vars: ${'{a: '.repeat(17)}1${'}'.repeat(17)}`)],
        [`0.yaml:4 DEPTH nodes.a.vars${'.a'.repeat(16)} is nested deeper than 16 objects and arrays`],
      ],
      [
        'vars that are too large',
        [nodeWith(`vars: {a: ${'x'.repeat(65_536)}}`)],
        ['0.yaml:4 SIZE nodes.a.vars is larger than 65536 bytes as JSON'],
      ],
      [
        'vars that lose digits',
        [nodeWith('vars: {id: 9007199254740993}')],
        ['0.yaml:4 NOT_EXACT nodes.a.vars.id is an integer beyond 2^53, which loses digits: use a string'],
      ],
      [
        'vars that are no numbers',
        [nodeWith('vars: {x: .nan}')],
        ['0.yaml:4 NOT_FINITE nodes.a.vars.x must be a finite number'],
      ],
      [
        'all of it at once, and nothing that only follows from it',
        [
          'nodes:\n  a: {port: 0, groups: [g]}\n  b: {groups: [g]}\n  c: {groups: [nog]}\n  d_: {}\ngroups:\n  g: {defaults: {user: -x}}\n  h: {nodes: [a, e]}\n',
        ],
        [
          '0.yaml:2 MINIMUM nodes.a.port must be 1 or more',
          `0.yaml:7 USER groups.g.defaults.user ${USER}`,
          '0.yaml:4 UNKNOWN nodes.c.groups[0] names the group "nog", which is not defined',
          '0.yaml:8 UNKNOWN groups.h.nodes[1] names the node "e", which is not defined',
          '0.yaml:5 REQUIRED nodes.d_.address is required: the name of this node cannot serve as its address',
        ],
      ],
      [
        'keys of the file that are unknown or given twice, and what is wrong with the rest',
        [
          'node: {}\nnodes:\n  a: {user: u, port: 0}\ngroups:\n  g: {nodes: [a, e], color: red}\ngroups: {h: {}}\n',
        ],
        [
          '0.yaml:6 YAML the file holds the key "groups" twice',
          '0.yaml:1 UNKNOWN node is not known; did you mean "nodes"?',
          '0.yaml:3 MINIMUM nodes.a.port must be 1 or more',
        ],
      ],
      [
        'all faults of an entry, those of its shape and those of its texts',
        [
          'nodes:\n  a: {adress: x, address: a b, user: -x, host_key_fingerprints: [1, y], labels: {-a: 1}}\n',
        ],
        [
          '0.yaml:2 UNKNOWN nodes.a.adress is not known; did you mean "address"?',
          '0.yaml:2 TYPE nodes.a.host_key_fingerprints[0] must be a string',
          '0.yaml:2 TYPE nodes.a.labels["-a"] must be a string',
          `0.yaml:2 USER nodes.a.user ${USER}`,
          '0.yaml:2 LABEL nodes.a.labels["-a"] is not a good label: use letters, digits, ".", "_", "-" and "/", begin with a letter or digit, at most 63 characters',
          '0.yaml:2 ADDRESS nodes.a.address must be a host name or an IP address, and nothing else',
          '0.yaml:2 FINGERPRINT nodes.a.host_key_fingerprints[1] must be a fingerprint as ssh-keygen -l prints it: "SHA256:" and 43 characters',
        ],
      ],
    ];
    for (const [title, texts, expected] of cases) {
      it(title, async () => assert.deepEqual(await faults(...texts), expected));
    }

    it('a file that is missing', async () => {
      const file = join(directory.path, 'none.yaml');
      await assert.rejects(loadInventory([file], schemas), {
        name: 'CONFIGURATION_INVALID',
        message: `The inventory has a fault: ${file}: the file does not exist.`,
      });
    });

    it('lists 20 of many faults and counts the rest', async () => {
      const text = `nodes:\n${Array.from({ length: 50 }, (_, index) => `  n${index}: {port: 0}\n`).join('')}`;
      assert.equal((await faults(text)).length, 20);
      await assert.rejects(load(text), {
        message: `The inventory has 50 faults, of which 20 are listed; the first: ${directory.path}/0.yaml:2: nodes.n0.port must be 1 or more.`,
      });
    });
  });

  describe('refuses hostile', () => {
    const key = (text: string): string => JSON.stringify(text);
    for (const name of [
      '-oProxyCommand=x',
      '.hidden',
      '_x',
      'a b',
      'a;id',
      '$(id)',
      '`id`',
      'a@b',
      'a%h',
      'a/../b',
      'a\nb',
      'a\u0000',
      'w\u0435b',
      '',
      'x'.repeat(254),
    ]) {
      it(`node name ${key(name.slice(0, 20))}`, async () => {
        const found = await faults(`nodes:\n  ${key(name)}: {user: x}\n`);
        assert.equal(found.length, 1);
        assert(found[0]?.endsWith(NAME), found[0]);
      });
    }
    for (const user of [
      '-l',
      '-oProxyCommand=x',
      'a b',
      'a@b',
      'a;id',
      '$(id)',
      '1user',
      '#0',
      '',
      'a\n',
      'root\u0000',
      'x'.repeat(33),
    ]) {
      for (const setting of ['user', 'run_as']) {
        it(`${setting} ${key(user)}`, async () => {
          assert.deepEqual(await faults(`nodes:\n  a: {${setting}: ${key(user)}}\n`), [
            `0.yaml:2 USER nodes.a.${setting} ${USER}`,
          ]);
        });
      }
    }
    const addresses = [
      '-oProxyCommand=x',
      'a b',
      'user@host',
      'host:22',
      '[::1]',
      'http://host',
      'host/path',
      '%h',
      '$(id)',
      'a;id',
      '',
      '.',
      'a..b',
      'host.',
      '-a.b',
      'a-.b',
      '1.2.3',
      '256.1.1.1',
      '2130706433',
      '0x7f000001',
      '127.0.0.1\n',
      'fe80::1%eth0',
      'host\u0000',
      'm\u00fcnchen.de',
      'x'.repeat(64),
      `${'a.'.repeat(127)}ab`,
    ];
    for (const address of addresses) {
      it(`address ${key(address.slice(0, 20))}`, async () => {
        assert.deepEqual(await faults(`nodes:\n  a: {user: x, address: ${key(address)}}\n`), [
          `0.yaml:2 ADDRESS nodes.a.address ${ADDRESS}`,
        ]);
      });
    }
    for (const [field, text] of [
      ['credential', '../key'],
      ['credential', '-x'],
      ['zone', 'a b'],
      ['zone', ''],
    ] as const) {
      it(`${field} ${key(text)}`, async () => {
        assert.deepEqual(await faults(`nodes:\n  a: {user: x, ${field}: ${key(text)}}\n`), [
          `0.yaml:2 WORD nodes.a.${field} ${WORD}`,
        ]);
      });
    }
    for (const print of [
      '',
      'MD5:aa:bb',
      `SHA256:${'a'.repeat(42)}`,
      `SHA256:${'a'.repeat(43)}=`,
      `sha256:${'a'.repeat(43)}`,
      `SHA256:${'a'.repeat(43)}\n`,
    ]) {
      it(`fingerprint ${key(print.slice(0, 20))}`, async () => {
        assert.deepEqual(await faults(`nodes:\n  a: {user: x, host_key_fingerprints: [${key(print)}]}\n`), [
          '0.yaml:2 FINGERPRINT nodes.a.host_key_fingerprints[0] must be a fingerprint as ssh-keygen -l prints it: "SHA256:" and 43 characters',
        ]);
      });
    }
    it('template text stays what it is', async () => {
      const { vars, labels } = (
        await load(`nodes:\n  a: {user: x, vars: {t: "{{7*7}} \${HOME} $(id)"}, labels: {t: "{{7*7}}"}}\n`)
      ).get('a');
      assert.deepEqual(vars, { t: '{{7*7}} ${HOME} $(id)' });
      assert.deepEqual(labels, { t: '{{7*7}}' });
    });
  });

  for (const address of [
    '10.0.0.1',
    '::1',
    '2001:db8::1',
    '::ffff:10.0.0.1',
    'web01',
    'web_01',
    'WEB-01.example.com',
    'x'.repeat(63),
    'a.b.c.d.e',
    '3com.example',
    'xn--mnchen-3ya.de',
  ]) {
    it(`accepts the address ${address.slice(0, 20)}`, async () => {
      assert.deepEqual(await faults(`nodes:\n  a: {user: x, address: "${address}"}\n`), []);
    });
  }

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
    const inventory = await loadInventory([join(packageRoot, 'deploy', 'inventory.example.yaml')], schemas);
    assert(inventory.nodes.length > 0);
    assert.deepEqual(inventory.warnings, []);
  });
});
