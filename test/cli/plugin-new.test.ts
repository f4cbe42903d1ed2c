import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { PluginNewOptions } from '../../services/cli/commands/plugin.js';
import { addToActions } from '../../services/cli/plugin/add-to-actions.js';
import { newCommand } from '../../services/cli/plugin/new-command.js';
import { LANGUAGES } from '../../services/cli/plugin/template-choices.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';
import { createFakeIo } from './fake-io.js';

describe('rune plugin new', () => {
  let directory: TempDirectory;
  beforeEach(async () => {
    directory = await makeTempDirectory();
  });
  afterEach(() => directory.remove());

  const create = async (name: string, options: Partial<PluginNewOptions> = {}) => {
    const io = createFakeIo();
    const given = {
      name,
      language: 'bash',
      risk: 'read_only',
      directory: directory.path,
      ...options,
    } as const;
    return { code: await newCommand(given, io), out: io.out(), err: io.err() };
  };
  const text = (...path: string[]) => readFileSync(join(directory.path, ...path), 'utf8');

  it('makes an action and the bundle around it, and says what and what to type next', async () => {
    const { code, out } = await create('hello');
    assert.equal(code, 0);
    assert.deepEqual(readdirSync(join(directory.path, 'hello')).toSorted(), [
      'README.md',
      'manifest.yaml',
      'plugin.sh',
      'tests.yaml',
    ]);
    assert.match(text('bundle.yaml'), /^actions:\n {2}- hello\n$/m);
    for (const file of ['manifest.yaml', 'plugin.sh', 'tests.yaml', 'README.md']) {
      assert.ok(out.includes(`made ${join(directory.path, 'hello', file)}\n`));
      assert.doesNotMatch(text('hello', file), /template-action/);
    }
    assert.match(out, /^made .*bundle\.yaml$/m);
    assert.match(out, /^ {2}rune plugin test .*hello$/m);
    assert.equal(statSync(join(directory.path, 'hello/plugin.sh')).mode & 0o111, 0o111);
  });

  it('adds the action to a bundle that is there, and changes nothing else in it', async () => {
    await directory.write({
      'bundle.yaml':
        '# ours\nmodule_name: ours\nmodule_version: 1.0.0\nmodule_class: x\ndescription: "Ours."\nactions: # all\n    - one # first\n# end\n',
    });
    const before = text('bundle.yaml');
    assert.equal((await create('two')).code, 0);
    assert.equal(text('bundle.yaml'), before.replace('first\n', 'first\n    - two\n'));
  });

  it('writes an action that changes nodes so that its tests do not', async () => {
    await create('hello', { risk: 'high' });
    assert.match(text('hello', 'manifest.yaml'), /^risk: high$/m);
    assert.doesNotMatch(text('hello', 'tests.yaml'), /dry_run: false/);
  });

  it('overwrites nothing, and leaves nothing half made', async () => {
    await create('hello');
    const [bundle, script] = [text('bundle.yaml'), text('hello', 'plugin.sh')];
    const again = await create('hello', { language: 'python' });
    assert.equal(again.code, 2);
    assert.match(again.err, /hello: it exists already\./);
    assert.deepEqual([text('bundle.yaml'), text('hello', 'plugin.sh')], [bundle, script]);

    await directory.write({ 'bundle.yaml': 'actions: [hello]\n' });
    const broken = await create('other');
    assert.equal(broken.code, 2);
    assert.match(broken.err, /bundle\.yaml:1: module_name is required/);
    assert.deepEqual(readdirSync(directory.path).toSorted(), ['bundle.yaml', 'hello']);
  });

  it('refuses a directory that is not there, and that of an action', async () => {
    await create('hello');
    const none = await create('inner', { directory: join(directory.path, 'none') });
    assert.deepEqual([none.code, /none: there is no such directory\./.test(none.err)], [2, true], none.err);
    const inside = await create('inner', { directory: join(directory.path, 'hello') });
    assert.equal(inside.code, 2);
    assert.match(inside.err, /hello is the directory of an action; .*--directory/);
    assert.doesNotMatch(readdirSync(join(directory.path, 'hello')).join(), /bundle|inner/);
  });

  it('refuses a name that no action can have', async () => {
    const { code, err } = await create('Log_Rotate');
    assert.equal(code, 2);
    assert.match(err, /The name Log_Rotate must be lower-case words/);
  });

  for (const language of LANGUAGES) {
    it(`passes shellcheck and compilers as it is: ${language}`, async () => {
      await create('hello', { language });
      const [program, ...options] = {
        bash: ['shellcheck'],
        python: ['/usr/bin/python3', '-m', 'py_compile'],
        perl: ['/usr/bin/perl', '-Tc'],
      }[language] as [string, ...string[]];
      const script =
        readdirSync(join(directory.path, 'hello')).find((file) => file.startsWith('plugin.')) ?? '';
      const { error, status, stdout, stderr } = spawnSync(
        program,
        [...options, join(directory.path, 'hello', script)],
        { encoding: 'utf8' },
      );
      assert.equal(error, undefined);
      assert.equal(status, 0, stdout + stderr);
    });
  }
});

describe('an entry is added to the actions of a bundle.yaml', () => {
  const cases: [string, string, string | undefined][] = [
    ['with lines', 'actions:\n- one\n', 'actions:\n- one\n- two\n'],
    [
      'with indented lines and text behind',
      'actions:\n  - one\nx: 1\n',
      'actions:\n  - one\n  - two\nx: 1\n',
    ],
    ['without a newline at its end', 'actions:\n  - one', 'actions:\n  - one\n  - two\n'],
    ['in brackets', 'actions: [one, zero] # all\n', 'actions: [one, zero, two] # all\n'],
    ['in brackets over lines', 'actions: [\n  one,\n]\n', 'actions: [\n  one, two,\n]\n'],
    ['that has none', 'actions: []\n', undefined],
    ['that has no list', 'actions: one\n', undefined],
  ];
  for (const [what, before, after] of cases) {
    it(what, () => assert.equal(addToActions(before, 'two'), after));
  }
});
