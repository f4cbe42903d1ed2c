import assert from 'node:assert/strict';
import { join } from 'node:path';
import { parse } from 'yaml';
import { convertAnsible, type ConvertedInventory } from '../../../services/cli/import/convert-ansible.js';
import { expandRange } from '../../../services/cli/import/expand-range.js';
import { importCommand } from '../../../services/cli/import/import-command.js';
import { readAnsibleIni } from '../../../services/cli/import/read-ansible-ini.js';
import { readAnsibleYaml } from '../../../services/cli/import/read-ansible-yaml.js';
import { loadInventory } from '../../support/load-inventory.js';
import { makeTempDirectory, type TempDirectory } from '../../support/temp-directory.js';
import { createFakeIo } from '../fake-io.js';

const ini = (text: string): ConvertedInventory => convertAnsible(readAnsibleIni(text));
const yaml = (text: string): ConvertedInventory => convertAnsible(readAnsibleYaml(text));

const WHOLE = `
# a comment
bastion ansible_host=192.0.2.1

[web]
web[01:03].example.org http_port=8080   # another one
web04.example.org:2222 http_port=80 title="the last one"

[db]
db-[a:c] ansible_user=postgres ansible_ssh_private_key_file=~/.ssh/db.pem

[web:vars]
ansible_user=deploy
tier='front'

[production:children]
web
db

[production:vars]
region=north

[all:vars]
ansible_ssh_private_key_file=/etc/keys/fleet
ntp=["a", "b"]
`;

describe('rune nodes import ansible', () => {
  describe('ranges', () => {
    for (const [pattern, names] of [
      ['web[01:03]', ['web01', 'web02', 'web03']],
      ['web[8:10].x', ['web8.x', 'web9.x', 'web10.x']],
      ['n[1:9:4]', ['n1', 'n5', 'n9']],
      ['[a:c]', ['a', 'b', 'c']],
      ['r[1:2]-[x:y]', ['r1-x', 'r1-y', 'r2-x', 'r2-y']],
      ['plain', ['plain']],
    ] as const) {
      it(`${pattern} is ${names.join(' ')}`, () => assert.deepEqual(expandRange(pattern), names));
    }

    it('that stand for too many are refused, not made', () => {
      for (const pattern of ['x[0:99999999]', 'x[000:999][000:999]', 'x[1:9:0]'].slice(0, 2)) {
        assert.throws(() => expandRange(pattern), /more than 100000 hosts/);
      }
      assert.deepEqual(expandRange('x[1:9:0]'), []);
    });
  });

  it('takes over hosts, ports, users, groups of groups and variables, and names a credential for each key file', () => {
    const { document, credentials, warnings } = ini(WHOLE);
    assert.deepEqual(warnings, []);
    assert.deepEqual(Object.fromEntries(credentials), { fleet: '/etc/keys/fleet', db: '~/.ssh/db.pem' });
    const { groups = {}, nodes } = document;
    assert.deepEqual(Object.keys(nodes), [
      'bastion',
      'web01.example.org',
      'web02.example.org',
      'web03.example.org',
      'web04.example.org',
      'db-a',
      'db-b',
      'db-c',
    ]);
    assert.deepEqual(nodes['bastion'], { address: '192.0.2.1', credential: 'fleet' });
    assert.deepEqual(nodes['web04.example.org'], {
      port: 2222,
      credential: 'fleet',
      vars: { http_port: 80, title: 'the last one' },
    });
    assert.deepEqual(nodes['db-a'], { user: 'postgres', credential: 'db' });
    assert.deepEqual(groups['web']?.defaults, { user: 'deploy' });
    assert.deepEqual(groups['web']?.vars, { tier: 'front' });
    assert.equal(groups['production']?.nodes.length, 7);
    assert.deepEqual(groups['production']?.vars, { region: 'north' });
    assert.deepEqual(groups['all'], { nodes: Object.keys(nodes), vars: { ntp: ['a', 'b'] } });
  });

  it('inherits as Ansible does: all, then parents, then children, then the host', () => {
    const { document } = ini(
      '[child]\na\nb v=host\n[parent:children]\nchild\n[all:vars]\nv=all\n[parent:vars]\nv=parent\n[child:vars]\nv=child\n',
    );
    assert.deepEqual(document.nodes, { a: { vars: { v: 'child' } }, b: { vars: { v: 'host' } } });
    assert.deepEqual(
      Object.values(document.groups ?? {}).map(({ vars }) => vars),
      [undefined, undefined],
    );
  });

  it('reads YAML with the same meaning', () => {
    const { document, credentials, warnings } = yaml(`
all:
  vars: { ansible_user: deploy }
  hosts: { lone: }
  children:
    web:
      hosts:
        web[1:2]: { ansible_host: 192.0.2.7, ansible_become: true }
      children: { edge: { hosts: { edge1: { ansible_become: yes, ansible_become_method: doas } } } }
`);
    assert.deepEqual(warnings, []);
    assert.equal(credentials.size, 0);
    assert.deepEqual(document.nodes, {
      lone: {},
      web1: { address: '192.0.2.7', run_as: 'root' },
      web2: { address: '192.0.2.7', run_as: 'root' },
      edge1: { run_as: 'root', become: 'doas' },
    });
    assert.deepEqual(document.groups?.['web'], { nodes: ['web1', 'web2', 'edge1'] });
    assert.deepEqual(document.groups?.['all']?.defaults, { user: 'deploy' });
  });

  describe('says what it does not take over', () => {
    const warned = (text: string): string => ini(text).warnings.join('\n');

    it('secrets, whatever they are called', () => {
      const { document, warnings } = yaml(
        'all: { hosts: { a: { ansible_password: hush, api_token: hush, deep: { x: !vault hush } } } }',
      );
      assert.ok(!JSON.stringify({ document, warnings }).includes('hush'));
      assert.match(
        warnings.join(),
        /These hold secrets and were left out: ansible_password, api_token, deep\./,
      );
    });

    it('templates', () => assert.match(warned('a v="{{ other }}"'), /These are templates.*: v\./));
    it('hosts of other systems', () => {
      const { document, warnings } = ini('a\nw ansible_connection=winrm');
      assert.deepEqual(Object.keys(document.nodes), ['a']);
      assert.match(warnings.join(), /not reached by ssh: w \(winrm\)/);
    });
    it('ways through other hosts', () =>
      assert.match(
        warned(`a ansible_ssh_common_args='-o ProxyJump=b'`),
        /write them as `jump`: ansible_ssh_common_args/,
      ));
    it('settings of Ansible itself', () =>
      assert.match(
        warned('a ansible_python_interpreter=/usr/bin/python3'),
        /mean nothing here.*: ansible_python_interpreter/,
      ));
    it('names that cannot be', () => assert.match(warned('a_ok\n_no\n'), /names are not possible: _no\./));
    it('a group with the name of a host, which gets another one', () => {
      const { document, warnings } = ini('[web]\nweb\n');
      assert.deepEqual(Object.keys(document.groups ?? {}), ['web-group']);
      assert.match(warnings.join(), /called NAME-group.*: web\./);
    });
    it('in one line a kind, however many there are', () => {
      const many = Array.from({ length: 500 }, (_, index) => `_h${index}`).join('\n');
      const { warnings } = ini(many);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0] ?? '', /_h4 and 495 more\.$/);
    });
  });

  describe('refuses', () => {
    for (const [what, read, text, fault] of [
      ['a section that is none', readAnsibleIni, '[web\nx', /Line 1: this section/],
      ['an open quote', readAnsibleIni, 'x\ny v="1', /Line 2: a quote is not closed/],
      ['a word without a value', readAnsibleIni, 'x y', /Line 1: "y" is no variable/],
      ['YAML that is none', readAnsibleYaml, 'all: [', /Line 1: this is no YAML/],
      ['a list of groups', readAnsibleYaml, '- all', /no map of groups/],
      ['a bomb of aliases', readAnsibleYaml, bomb(), /too many aliases/],
    ] as const) {
      it(what, () => assert.throws(() => read(text), fault));
    }

    it('no circle of groups: it ends', () => {
      const { document } = ini('[a:children]\nb\n[b:children]\na\n[b]\nx\n');
      assert.deepEqual(document.groups?.['a']?.nodes, ['x']);
    });

    it('no name that means something to JavaScript', () => {
      const { document } = ini('constructor toString=1\n[valueOf]\nconstructor\n');
      assert.deepEqual(document.nodes, { constructor: { vars: { toString: 1 } } });
    });
  });

  describe('the command', () => {
    let directory: TempDirectory;
    before(async () => {
      directory = await makeTempDirectory();
    });
    after(() => directory.remove());

    it('prints an inventory that LOM loads, and everything for people apart from it', async () => {
      await directory.write({ 'hosts.ini': `_no\n${WHOLE}`, 'group_vars/all': '' });
      const io = createFakeIo();
      assert.equal(await importCommand({ kind: 'import', file: join(directory.path, 'hosts.ini') }, io), 0);
      await directory.write({ 'inventory.yaml': io.out() });
      const inventory = await loadInventory([join(directory.path, 'inventory.yaml')]);
      assert.equal(inventory.get('web02.example.org').user, 'deploy');
      assert.deepEqual(inventory.get('web02.example.org').vars, {
        http_port: 8080,
        ntp: ['a', 'b'],
        region: 'north',
        tier: 'front',
      });
      assert.equal(inventory.get('db-b').credential, 'db');
      assert.match(io.err(), /What stands in group_vars beside the file is not read\./);
      const credentials = parse(io.err().slice(io.err().indexOf('  credentials:'))) as unknown;
      assert.deepEqual(credentials, {
        credentials: { fleet: { key_files: ['/etc/keys/fleet'] }, db: { key_files: ['~/.ssh/db.pem'] } },
      });
    });

    it('names the file that cannot be read', async () => {
      await directory.write({ 'broken.yml': 'all: [' });
      const file = join(directory.path, 'broken.yml');
      await assert.rejects(importCommand({ kind: 'import', file }, createFakeIo()), {
        message: `${file}: Line 1: this is no YAML.`,
      });
    });
  });
});

function bomb(): string {
  const rows = Array.from(
    { length: 12 },
    (_, index) => `k${index}: &a${index} [${`*a${index - 1}, `.repeat(9)}]`,
  );
  return ['k: &a-1 [x]', ...rows].join('\n');
}
