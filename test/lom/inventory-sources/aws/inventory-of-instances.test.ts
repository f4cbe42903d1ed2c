import assert from 'node:assert/strict';
import { readAwsSource, type AwsSource } from '../../../../services/lom/inventory-sources/aws/aws-config.js';
import type { FoundInstance } from '../../../../services/lom/inventory-sources/aws/found-instance.js';
import {
  inventoryOfInstances,
  type FoundInventory,
} from '../../../../services/lom/inventory-sources/aws/inventory-of-instances.js';

const [A, B, C] = ['i-0000000000000000a', 'i-0000000000000000b', 'i-0000000000000000c'] as const;

function sourceOf(fields: object = {}, kind: AwsSource['kind'] = 'ec2'): AwsSource {
  const raw = { region: 'eu-central-1', ...fields };
  const source = readAwsSource(kind, raw, (path, message) => assert.fail(`${path.join('.')} ${message}`));
  assert.ok(source !== undefined);
  return source;
}

function instance(
  id: string,
  tags: Record<string, string> = {},
  more: Partial<FoundInstance> = {},
): FoundInstance {
  const fields = new Map([['id', id], ['region', 'eu-central-1'], ...tagFields(tags)]);
  return { id, privateAddress: '10.0.0.1', publicAddress: undefined, fields, ...more };
}
const tagFields = (tags: Record<string, string>): [string, string][] =>
  Object.entries(tags).map(([key, value]) => [`tag:${key}`, value]);

const NAMED = { name: '{tag:Name}' };
const read = (instances: readonly FoundInstance[], fields: object = NAMED): FoundInventory =>
  inventoryOfInstances(instances, sourceOf(fields));
const names = ({ nodes }: FoundInventory): string[] => Object.keys(nodes);

describe('instances as nodes', () => {
  it('have the name, groups and labels that the templates make of their tags', () => {
    const { nodes, notes } = read(
      [instance(A, { Name: 'web01', role: 'web', 'aws:autoscaling:groupName': 'blue' })],
      {
        name: 'aws-{tag:Name}',
        groups: ['aws', 'role-{tag:role}', 'team-{tag:team}'],
        labels: { asg: '{tag:aws:autoscaling:groupName}', id: '{id}', team: '{tag:team}' },
      },
    );
    assert.deepEqual(nodes, {
      'aws-web01': {
        address: '10.0.0.1',
        lock_key: A,
        instance_id: A,
        region: 'eu-central-1',
        transports: ['ssh'],
        groups: ['aws', 'role-web'],
        labels: { asg: 'blue', id: A },
      },
    });
    assert.deepEqual(notes, []);
  });

  it('are the same in whatever order and however often they are told', () => {
    const all = [instance(A, { Name: 'a' }), instance(B, { Name: 'b' }), instance(C)];
    assert.equal(JSON.stringify(read([...all.toReversed(), ...all])), JSON.stringify(read(all)));
  });

  it('go by their ids where a tag is missing, is no good name, or is the same for two of them', () => {
    const { nodes, notes } = read([
      instance(A, { Name: 'web' }),
      instance(B, { Name: 'WEB' }),
      instance(C),
      instance('i-0000000000000000d', { Name: '../../etc; rm -rf "/"\n\u001b[2J' }),
      instance('i-0000000000000000e', { Name: '__proto__' }),
      instance('i-0000000000000000f', { Name: 'x'.repeat(256) }),
    ]);
    assert.ok(Object.keys(nodes).every((name) => name.startsWith('i-0000000000000000')));
    assert.equal(Object.keys(nodes).length, 6);
    assert.deepEqual(
      notes.map((note) => note.replace(/x{60,}…?/, 'x…')),
      [
        `named by their ids, since another one has the same name: ${A} ("web"), ${B} ("WEB")`,
        `named by their ids, since they have nothing for {tag:Name}: ${C}`,
        'named by their ids, since what their tags say is no good name of a node: i-0000000000000000d ("../../etc; rm -rf \\"/\\"\\n\\u001b[2J"), i-0000000000000000e ("__proto__"), i-0000000000000000f ("x…")',
      ],
    );
  });

  it('cannot take the name of another one by its id', () => {
    const { nodes, notes } = read([instance(A, { Name: B }), instance(B), instance(C, { Name: C })]);
    assert.deepEqual(Object.keys(nodes), [A, B, C]);
    assert.match(notes[0] ?? '', /their name would be the id of another one: i-0000000000000000a/);
    assert.equal((nodes[A] as { instance_id: string }).instance_id, A);
  });

  it('are not in a group that is no good name, has that of a node, or differs by letter case only', () => {
    const { nodes, notes } = read(
      [
        instance(A, { Name: 'web', role: 'web' }),
        instance(B, { role: 'Prod' }),
        instance(C, { role: 'prod' }),
        instance('i-0000000000000000d', { role: '-x' }),
      ],
      { ...NAMED, groups: ['{tag:role}'] },
    );
    const groups = Object.values(nodes).map((node) => (node as { groups: string[] }).groups);
    assert.deepEqual(groups, [[], ['Prod'], [], []]);
    assert.deepEqual(notes.slice(1), [
      `not in a group that has the name of a node: ${A} ("web")`,
      `not in a group that differs from another one by letter case only: ${C} ("prod")`,
      'not in a group that is no good name: i-0000000000000000d ("-x")',
    ]);
  });

  it('have no label whose value an inventory would refuse', () => {
    const { nodes, notes } = read([instance(A, { note: 'a\nb', odd: 'ünïcode <&> "x"' })], {
      labels: { note: '{tag:note}', odd: '{tag:odd}' },
    });
    assert.deepEqual((nodes[A] as { labels: object }).labels, { odd: 'ünïcode <&> "x"' });
    assert.equal(notes.length, 1);
  });

  it('are reached by the address that was asked for, and left out over SSH without it', () => {
    const both = instance(A, {}, { publicAddress: '192.0.2.7' });
    const found = read([both, instance(B)], { address: 'public' });
    assert.deepEqual(names(found), [A]);
    assert.equal((found.nodes[A] as { address: string }).address, '192.0.2.7');
    assert.deepEqual(found.notes, [`left out, since they have no public address: ${B}`]);
  });

  it('need no address over Systems Manager, and are told apart there by their ids', () => {
    const none = instance(A, {}, { privateAddress: undefined });
    assert.deepEqual(read([none], { transport: 'ssm' }).nodes[A], {
      instance_id: A,
      region: 'eu-central-1',
      transports: ['ssm'],
      groups: [],
      labels: {},
    });
  });

  it('that are many with one fault make one note', () => {
    const { notes } = read(
      Array.from({ length: 300 }, (_, index) => instance(`i-${String(index).padStart(8, '0')}`)),
    );
    assert.deepEqual(notes, [
      'named by their ids, since they have nothing for {tag:Name}: i-00000000, i-00000001, i-00000002, i-00000003, i-00000004 and 295 more',
    ]);
  });
});

describe('a source of AWS', () => {
  const faults = (kind: AwsSource['kind'], raw: unknown): string[] => {
    const found: string[] = [];
    readAwsSource(kind, raw, (path, message) => found.push(`${path.join('.')}: ${message}`));
    return found;
  };
  const region = 'eu-central-1';

  for (const [what, kind, raw, fault] of [
    ['names its region', 'ec2', {}, /^region: is required/],
    ['that is one', 'ec2', { region: 'Frankfurt' }, /^region: must be the name of an AWS region/],
    ['knows its keys', 'ec2', { region, tags: {} }, /^tags: is none of region/],
    ['takes a role by its ARN', 'ec2', { region, role_arn: 'reader' }, /^role_arn: must be the ARN/],
    [
      'takes no plain http but of this host',
      'ec2',
      { region, endpoint: 'http://a.example' },
      /^endpoint: must be an https/,
    ],
    [
      'takes texts as values of filters',
      'ec2',
      { region, filters: { 'tag:rack': 12 } },
      /^filters\.tag:rack: must be a text/,
    ],
    [
      'knows the fields of its templates',
      'ec2',
      { region, name: '{Name}' },
      /^name: uses \{Name\}: there is \{id\}/,
    ],
    ['sees a template that does not end', 'ec2', { region, groups: ['a-{id'] }, /^groups\.0: has a brace/],
    [
      'has labels with good keys',
      'ec2',
      { region, labels: { 'a b': '{id}' } },
      /^labels\.a b: is not a good label/,
    ],
    [
      'has transports that need its addresses',
      'ec2',
      { region, transport: 'local' },
      /^transport: must be of ssh/,
    ],
    [
      'of managed nodes is told no tags',
      'ssm',
      { region, groups: ['{tag:role}'] },
      /^groups\.0: uses \{tag:role\}: there is/,
    ],
    ['of managed nodes has no addresses', 'ssm', { region, address: 'public' }, /^address: is none of/],
  ] as const) {
    it(what, () => {
      const found = faults(kind, raw);
      assert.ok(
        found.some((one) => fault.test(one)),
        found.join('\n'),
      );
    });
  }
});
