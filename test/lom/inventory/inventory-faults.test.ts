import assert from 'node:assert/strict';
import { join } from 'node:path';
import { loadInventory } from '../../support/load-inventory.js';
import { inventoryFiles } from './inventory-files.js';

const NAME =
  'is not a good name: use letters, digits, ".", "_" and "-", begin with a letter or digit, at most 253 characters';
const USER =
  'must be a login name: letters, digits, ".", "_" and "-", beginning with a letter or "_", at most 32 characters';
const WORD =
  'must be a word of letters, digits, ".", "_" and "-", beginning with a letter or digit, at most 64 characters';
const ADDRESS = 'must be a host name or an IP address, and nothing else';

describe('an inventory', () => {
  const files = inventoryFiles();
  const { load, faults } = files;

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
      const file = join(files.path, 'none.yaml');
      await assert.rejects(loadInventory([file]), {
        name: 'CONFIGURATION_INVALID',
        message: `The inventory has a fault: ${file}: the file does not exist.`,
      });
    });

    it('lists 20 of many faults and counts the rest', async () => {
      const text = `nodes:\n${Array.from({ length: 50 }, (_, index) => `  n${index}: {port: 0}\n`).join('')}`;
      assert.equal((await faults(text)).length, 20);
      await assert.rejects(load(text), {
        message: `The inventory has 50 faults, of which 20 are listed; the first: ${files.path}/0.yaml:2: nodes.n0.port must be 1 or more.`,
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
});
