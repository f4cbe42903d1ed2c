import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { RuneError } from '../../../services/shared/errors.js';
import { Delivery, PluginProtocol, Risk } from '../../../services/shared/gen/rune/v1/mrs.js';
import { loadBundles } from '../../../services/lom/actions/load-bundles.js';
import type { Registry } from '../../../services/lom/actions/registry.js';
import { packageRoot } from '../../../services/shared/process/package-root.js';
import { createSchemaCompiler } from '../../../services/shared/schema/schema.js';
import { USER_NAME_RULE } from '../../../services/shared/user-name.js';
import { faultsOf } from '../../support/faults-of.js';
import { makeTempDirectory, type TempDirectory } from '../../support/temp-directory.js';

const BUNDLE = {
  module_name: 'test',
  module_version: '1.0.0',
  module_class: 'remediation',
  description: 'For tests.',
  library: 'lib/rune_bpcs.sh',
  actions: ['say'],
};
const MANIFEST = {
  action: 'say',
  version: '1.0.0',
  description: 'Says something.',
  entrypoint: 'plugin.sh',
  risk: 'low',
  input_schema: {
    type: 'object',
    additionalProperties: false,
    properties: { text: { type: 'string', maxLength: 5 }, times: { type: 'integer', default: 1 } },
  },
  output_schema: { type: 'object', properties: { said: { type: 'string' } } },
};
const SCRIPT = '#!/usr/bin/env bash\nrune_ok said\n';

/** The files of a bundle, some of them other than usual; undefined leaves one out. */
function bundle(other: Record<string, unknown> = {}): Record<string, string | Buffer> {
  const files = {
    'bundle.yaml': BUNDLE,
    'lib/rune_bpcs.sh': 'rune_ok() { :; }\n',
    'say/manifest.yaml': MANIFEST,
    'say/plugin.sh': SCRIPT,
    ...other,
  };
  return Object.fromEntries(
    Object.entries(files)
      .filter(([, content]) => content !== undefined)
      .map(([name, content]) => [
        name,
        typeof content === 'string' || Buffer.isBuffer(content) ? content : stringify(content),
      ]),
  );
}

/** One compiler for all tests: making one is the slow part. */
const schemas = createSchemaCompiler();
const load = (directories: string[]): Promise<Registry> => loadBundles(directories, schemas);

describe('load bundles', () => {
  let directory: TempDirectory;
  beforeEach(async () => {
    directory = await makeTempDirectory();
  });
  afterEach(() => directory.remove());

  /** Every fault of these bundles, one `file:line REASON description` each, with paths below the directory. */
  async function faults(...directories: string[]): Promise<string[]> {
    const paths =
      directories.length === 0 ? [directory.path] : directories.map((name) => join(directory.path, name));
    return faultsOf(load(paths), directory.path);
  }

  it('makes actions of manifests, with defaults for what is left out', async () => {
    await directory.write(bundle());
    const { capability, script, scriptSha256, library, librarySha256, input } = (
      await load([directory.path])
    ).get('say');
    const { digest, ...declared } = capability;
    assert.deepEqual(declared, {
      action: 'say',
      version: '1.0.0',
      description: 'Says something.',
      inputSchema: JSON.stringify(MANIFEST.input_schema),
      outputSchema: JSON.stringify(MANIFEST.output_schema),
      risk: Risk.LOW,
      idempotent: false,
      supportsDryRun: false,
      timeoutMs: 60_000,
      cooldownMs: 0,
      maxConcurrent: 0,
      examples: [],
      delivery: Delivery.STREAM,
      leavesProcesses: false,
      moduleName: 'test',
      protocol: PluginProtocol.BPCS,
      requires: { commands: [], os: [] },
      configurationSchema: '',
      runAs: '',
    });
    assert.match(digest, /^[0-9a-f]{64}$/);
    assert.equal(script.toString(), SCRIPT);
    assert.equal(scriptSha256, createHash('sha256').update(SCRIPT).digest('hex'));
    assert.equal(library.toString(), 'rune_ok() { :; }\n');
    assert.equal(librarySha256, createHash('sha256').update(library).digest('hex'));
    assert.deepEqual(
      input.validate({ text: 'much too long' }).map(({ field }) => field),
      ['params.text'],
    );
  });

  it('takes everything that a manifest may say', async () => {
    const examples = [
      { description: 'One', params: { text: 'hi' }, output: { said: 'hi' } },
      { description: 'Two', params: {} },
    ];
    const manifest = {
      ...MANIFEST,
      delivery: 'directory',
      mode: 'attached',
      risk: 'destructive',
      idempotent: true,
      supports_dry_run: true,
      leaves_processes: true,
      timeout_ms: 1000,
      cooldown_ms: 2000,
      max_concurrent: 3,
      run_as: 'postgres',
      examples,
      entrypoint: 'bin/run.py',
    };
    await directory.write(
      bundle({ 'say/manifest.yaml': manifest, 'say/bin/run.py': '#!/usr/bin/python3\n' }),
    );
    const { capability } = (await load([directory.path])).get('say');
    assert.equal(capability.delivery, Delivery.DIRECTORY);
    assert.equal(capability.risk, Risk.DESTRUCTIVE);
    assert.equal(capability.timeoutMs, 1000);
    assert.equal(capability.cooldownMs, 2000);
    assert.equal(capability.maxConcurrent, 3);
    assert.equal(capability.runAs, 'postgres');
    assert(capability.idempotent && capability.supportsDryRun && capability.leavesProcesses);
    assert.deepEqual(capability.examples, [examples[0], { ...examples[1], output: undefined }]);
  });

  it('names an action by what sha256sum prints for its files', async () => {
    await directory.write(bundle());
    const { digest } = (await load([directory.path])).get('say').capability;
    const command = 'sha256sum lib/rune_bpcs.sh say/manifest.yaml say/plugin.sh | sha256sum';
    const printed = execFileSync('bash', ['-c', command], { cwd: directory.path, encoding: 'utf8' });
    assert.equal(printed, `${digest}  -\n`);
  });

  it('gives another digest when any of the files changes', async () => {
    const digests = new Set<string>();
    for (const other of [
      {},
      { 'say/plugin.sh': `${SCRIPT}#` },
      { 'lib/rune_bpcs.sh': '#' },
      { 'say/manifest.yaml': { ...MANIFEST, risk: 'high' } },
    ]) {
      await directory.write(bundle(other));
      digests.add((await load([directory.path])).get('say').capability.digest);
    }
    assert.equal(digests.size, 4);
  });

  it('takes the library that comes with RUNE for a bundle that names none', async () => {
    await directory.write(bundle({ 'bundle.yaml': { ...BUNDLE, library: undefined } }));
    const { library } = (await load([directory.path])).get('say');
    assert.ok(library.equals(await readFile(join(packageRoot, 'plugins/lib/rune_bpcs.sh'))));
  });

  it('reads the helper files of the action and of the bundle, and names them in the digest', async () => {
    const helpers = { 'say/words.sh': 'words() { :; }\n', 'common/list.sh': 'list() { :; }\n' };
    const manifest = { ...MANIFEST, files: ['words.sh', '/common/list.sh'] };
    await directory.write(bundle({ ...helpers, 'say/manifest.yaml': manifest }));
    const { files, capability } = (await load([directory.path])).get('say');
    assert.deepEqual(
      files.map(({ path, bytes }) => [path, bytes.toString()]),
      [
        ['words.sh', 'words() { :; }\n'],
        ['common/list.sh', 'list() { :; }\n'],
      ],
    );
    await directory.write({ 'common/list.sh': 'list() { echo; }\n' });
    assert.notEqual((await load([directory.path])).get('say').capability.digest, capability.digest);
  });

  it('reads what a node must have, in both ways of writing it', async () => {
    const commands = ['systemctl', '/usr/bin/docker'];
    const os = [{ id: 'debian', version_min: '11' }, { id: 'rhel' }];
    for (const [requires, expected] of [
      [commands, { commands, os: [] }],
      [
        { commands, os },
        {
          commands,
          os: [
            { id: 'debian', versionMin: '11' },
            { id: 'rhel', versionMin: '' },
          ],
        },
      ],
    ]) {
      await directory.write(bundle({ 'say/manifest.yaml': { ...MANIFEST, requires } }));
      assert.deepEqual((await load([directory.path])).get('say').capability.requires, expected);
    }
  });

  describe('of an action with a configuration', () => {
    const configuration_schema = {
      type: 'object',
      additionalProperties: false,
      properties: { paths: { type: 'array', items: { type: 'string' }, default: ['/var/log'] } },
    };
    const configured = (values: unknown, changes: object = {}): Record<string, string | Buffer> =>
      bundle({
        'bundle.yaml': values === undefined ? BUNDLE : { ...BUNDLE, configuration: values },
        'say/manifest.yaml': { ...MANIFEST, configuration_schema: { ...configuration_schema, ...changes } },
      });

    it('keeps what the bundle gives it', async () => {
      await directory.write(configured({ say: { paths: ['/srv'] } }));
      const { configuration } = (await load([directory.path])).get('say');
      assert.deepEqual(configuration?.values, { paths: ['/srv'] });
    });

    it('refuses values that do not fit, by their line in bundle.yaml', async () => {
      await directory.write(configured({ say: { paths: ['/srv', 3] } }));
      assert.deepEqual(await faults(), ['bundle.yaml:12 TYPE configuration.say.paths[1] must be a string']);
    });

    it('refuses values for an action that is not there or has no configuration', async () => {
      await directory.write(configured({ sya: {} }));
      assert.deepEqual(await faults(), [
        'bundle.yaml:9 UNKNOWN configuration.sya names "sya", no action of this bundle; did you mean "say"?',
      ]);
      await directory.write({ 'say/manifest.yaml': stringify(MANIFEST) });
      await directory.write({ 'bundle.yaml': stringify({ ...BUNDLE, configuration: { say: {} } }) });
      assert.deepEqual(await faults(), [
        'bundle.yaml:9 UNKNOWN configuration.say is for an action without a configuration_schema',
      ]);
    });

    it('refuses a schema that asks for a value that nobody gives', async () => {
      await directory.write(
        configured(undefined, { required: ['token'], properties: { token: { type: 'string' } } }),
      );
      assert.deepEqual(await faults(), [
        'say/manifest.yaml REQUIRED its configuration token is required: give a default, or a value in bundle.yaml',
      ]);
    });
  });

  it('runs the bytes it read, whatever happens to the files later', async () => {
    await directory.write(bundle());
    const action = (await load([directory.path])).get('say');
    await directory.write({ 'say/plugin.sh': '#!/bin/bash\nrm -rf /\n' });
    assert.equal(action.script.toString(), SCRIPT);
  });

  it('accepts the library by a link inside the bundle', async () => {
    await directory.write(bundle({ 'lib/rune_bpcs.sh': undefined, 'shared/library.sh': ':\n', 'lib/x': '' }));
    await symlink('../shared/library.sh', join(directory.path, 'lib/rune_bpcs.sh'));
    assert.deepEqual(await faults(), []);
  });

  it('refuses a default of a parameter that breaks its own schema, by its line', async () => {
    const properties = { times: { type: 'integer', default: 'twice' }, text: { type: 'string' } };
    const input_schema = { type: 'object', required: ['text'], properties };
    await directory.write(bundle({ 'say/manifest.yaml': { ...MANIFEST, input_schema, examples: [] } }));
    assert.deepEqual(
      (await faults()).map((fault) => fault.replace(/:\d+/, '')),
      ['say/manifest.yaml TYPE input_schema.properties.times.default must be an integer'],
    );
  });

  describe('refuses a bundle.yaml', () => {
    const path =
      'must be a path inside the bundle: names of letters, digits, ".", "_" and "-" joined by "/", without ".."';
    const name = 'must be lower-case words of letters and digits joined by "-", beginning with a letter';
    const cases: [title: string, content: unknown, expected: string[]][] = [
      ['that is missing', undefined, ['bundle.yaml FILE the file does not exist']],
      ['that is empty', '', ['bundle.yaml:1 TYPE the file must be an object']],
      [
        'that is not YAML',
        'a: [',
        [
          'bundle.yaml:1 YAML the file is not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
        ],
      ],
      [
        'that lacks everything',
        '# nothing\n{}\n',
        ['module_name', 'module_version', 'module_class', 'description', 'actions'].map(
          (key) => `bundle.yaml:2 REQUIRED ${key} is required`,
        ),
      ],
      [
        'with a misspelt key',
        { ...BUNDLE, modul_class: 'x' },
        ['bundle.yaml:8 UNKNOWN modul_class is not known; did you mean "module_class"?'],
      ],
      [
        'with a bad module name',
        { ...BUNDLE, module_name: 'Test_1' },
        [`bundle.yaml:1 NAME module_name ${name}`],
      ],
      [
        'with a bad version',
        { ...BUNDLE, module_version: '1.0' },
        ['bundle.yaml:2 VERSION module_version must be a version such as 1.2.0 (SemVer 2.0)'],
      ],
      [
        'without actions',
        { ...BUNDLE, actions: [] },
        ['bundle.yaml:6 MIN_ITEMS actions must have at least 1 item'],
      ],
      [
        'with an action twice',
        { ...BUNDLE, actions: ['say', 'say'] },
        ['bundle.yaml:6 UNIQUE_ITEMS actions must not hold the same item twice (0 and 1)'],
      ],
      [
        'whose action leads out of it',
        { ...BUNDLE, actions: ['../say'] },
        [`bundle.yaml:7 NAME actions[0] ${name}`],
      ],
      [
        'whose action has no directory',
        { ...BUNDLE, actions: ['say', 'sing'] },
        ['bundle.yaml:8 FILE actions[1] names sing/manifest.yaml, which does not exist'],
      ],
      [
        'whose library is absolute',
        { ...BUNDLE, library: '/etc/passwd' },
        [`bundle.yaml:5 PATH library ${path}`],
      ],
      [
        'whose library is missing',
        { ...BUNDLE, library: 'lib/none.sh' },
        ['bundle.yaml:5 FILE library names lib/none.sh, which does not exist'],
      ],
      [
        'whose library is a directory',
        { ...BUNDLE, library: 'lib' },
        ['bundle.yaml:5 FILE library names lib, which is not a regular file'],
      ],
    ];
    for (const [title, content, expected] of cases) {
      it(title, async () => {
        await directory.write(bundle({ 'bundle.yaml': content }));
        assert.deepEqual(await faults(), expected);
      });
    }
  });

  describe('refuses a manifest', () => {
    const entry =
      'must be a path inside the bundle: names of letters, digits, ".", "_" and "-" joined by "/", without ".."';
    const name = 'must be lower-case words of letters and digits joined by "-", beginning with a letter';
    const cases: [title: string, change: Record<string, unknown>, expected: string[]][] = [
      [
        'with a misspelt key',
        { idempotant: true },
        ['21 UNKNOWN idempotant is not known; did you mean "idempotent"?'],
      ],
      [
        'with a risk that does not exist',
        { risk: 'medium' },
        ['5 ENUM risk must be one of "read_only", "low", "high", "destructive"'],
      ],
      ['without a risk', { risk: undefined }, ['1 REQUIRED risk is required']],
      ['with a timeout of nothing', { timeout_ms: 0 }, ['MINIMUM timeout_ms must be 1000 or more']],
      [
        'with a timeout of more than a day',
        { timeout_ms: 86_400_001 },
        ['MAXIMUM timeout_ms must be 86400000 or less'],
      ],
      [
        'with a cooldown although it changes nothing',
        { risk: 'read_only', cooldown_ms: 1 },
        ['RISK cooldown_ms is for actions that change something, and the risk of this one is read_only'],
      ],
      ['with a version that YAML reads as a number', { version: 1.0 }, ['2 TYPE version must be a string']],
      [
        'with a bad version',
        { version: '1.0.0.0' },
        ['2 VERSION version must be a version such as 1.2.0 (SemVer 2.0)'],
      ],
      ['with a path for a name', { action: '../../etc/x' }, [`1 NAME action ${name}`]],
      ['with a name in look-alike letters', { action: 's\u0430y' }, [`1 NAME action ${name}`]],
      ['with a name that ends in a line break', { action: 'say\n' }, [`1 NAME action ${name}`]],
      [
        'with a name of 65 characters',
        { action: 'a'.repeat(65) },
        ['1 MAX_LENGTH action must have at most 64 characters'],
      ],
      [
        'in detached mode',
        { mode: 'detached' },
        ['NOT_SUPPORTED mode may only be attached: detached is not supported yet'],
      ],
      ...['root; id', '-u', '#0', '1000', '', 'a b', 'root\n'].map(
        (user): [string, Record<string, unknown>, string[]] => [
          `that must run as ${JSON.stringify(user)}`,
          { run_as: user },
          [`USER run_as ${USER_NAME_RULE}`],
        ],
      ),
      ['that must run as a number', { run_as: 0 }, ['TYPE run_as must be a string']],
      ['whose entrypoint is absolute', { entrypoint: '/bin/sh' }, [`4 PATH entrypoint ${entry}`]],
      ['whose entrypoint leads up', { entrypoint: '../lib/rune_bpcs.sh' }, [`4 PATH entrypoint ${entry}`]],
      [
        'whose entrypoint leads up in the middle',
        { entrypoint: 'a/../../x' },
        [`4 PATH entrypoint ${entry}`],
      ],
      ['whose entrypoint holds a NUL', { entrypoint: 'plugin.sh\0.txt' }, [`4 PATH entrypoint ${entry}`]],
      ['whose entrypoint looks like an option', { entrypoint: '-x' }, [`4 PATH entrypoint ${entry}`]],
      [
        'whose entrypoint is missing',
        { entrypoint: 'none.sh' },
        ['4 FILE entrypoint names say/none.sh, which does not exist'],
      ],
      [
        'whose parameters are no object',
        { input_schema: { type: 'string' } },
        ['7 TYPE input_schema.type must be object: parameters, output and configuration are JSON objects'],
      ],
      [
        'with a fault deep in a schema',
        { output_schema: { type: 'object', properties: { said: { type: 'string', patern: 'x' } } } },
        [
          '21 UNKNOWN output_schema.properties.said.patern is not a keyword of JSON Schema 2020-12; did you mean "pattern"?',
        ],
      ],
      [
        'with an example that its own schema refuses',
        { examples: [{ description: 'Bad', params: { text: 'too long', tims: 1 }, output: { said: 1 } }] },
        [
          '25 UNKNOWN examples[0].params.tims is not known; did you mean "times"?',
          '24 MAX_LENGTH examples[0].params.text must have at most 5 characters',
          '27 TYPE examples[0].output.said must be a string',
        ],
      ],
      [
        'whose helper files lead out of the bundle',
        { files: ['none.sh', '/lib/none.sh', '../x.sh', '//lib/x.sh'] },
        [`PATH files[2] ${entry}`, `PATH files[3] ${entry}`],
      ],
      [
        'whose helper files are missing',
        { files: ['none.sh', '/lib/none.sh'] },
        [
          'FILE files[0] names say/none.sh, which does not exist',
          'FILE files[1] names lib/none.sh, which does not exist',
        ],
      ],
      [
        'whose helper file would lie where the library does',
        { files: ['/lib/rune_bpcs.sh'] },
        [
          'FILE files[0] names lib/rune_bpcs.sh, which would lie beside the plugin as lib/rune_bpcs.sh, where another file lies',
        ],
      ],
      [
        'that requires what cannot be looked up',
        { requires: { commands: ['ls -l', 'bin/x'], os: [{ id: 'Debian', version_min: 'eleven' }] } },
        [
          'COMMAND requires.commands[0] must be the name or the absolute path of a command: letters, digits, "_", "+", "." and "-"',
          'COMMAND requires.commands[1] must be the name or the absolute path of a command: letters, digits, "_", "+", "." and "-"',
          'NAME requires.os[0].id must be an ID as in os-release, such as debian: lower-case letters, digits, ".", "_" and "-"',
          'VERSION requires.os[0].version_min must be numbers joined by ".", such as 11 or 22.04',
        ],
      ],
      [
        'with several faults, all of them',
        { action: 'Say', version: '1', entrypoint: '/x' },
        [
          `1 NAME action ${name}`,
          '2 VERSION version must be a version such as 1.2.0 (SemVer 2.0)',
          `4 PATH entrypoint ${entry}`,
        ],
      ],
    ];
    for (const [title, change, expected] of cases) {
      it(title, async () => {
        await directory.write(bundle({ 'say/manifest.yaml': { ...MANIFEST, ...change } }));
        const found = (await faults()).map((fault) => fault.replace('say/manifest.yaml:', ''));
        // A key that was added stands at the end; its line says nothing.
        assert.deepEqual(
          found.map((fault, index) =>
            /^\d/.test(expected[index] ?? '') ? fault : fault.replace(/^\d+ /, ''),
          ),
          expected,
        );
      });
    }

    it('that gives a key twice', async () => {
      await directory.write(bundle({ 'say/manifest.yaml': `${stringify(MANIFEST)}risk: read_only\n` }));
      assert.deepEqual(await faults(), ['say/manifest.yaml:21 YAML the file holds the key "risk" twice']);
    });
  });

  describe('refuses a script', () => {
    const bash =
      'must begin with #!/bin/bash or #!/usr/bin/env bash: the delivery "stream" is for Bash, "directory" for anything else';
    const cases: [title: string, script: string | Buffer, delivery: string, why: string | undefined][] = [
      ['that is not Bash, for stream', '#!/usr/bin/python3\n', 'stream', bash],
      ['for plain sh, for stream', '#!/bin/sh\n', 'stream', bash],
      ['without a first line, for stream', 'echo\n', 'stream', bash],
      ['that is empty', '', 'stream', bash],
      ['with a NUL byte', '#!/bin/bash\necho \0\n', 'stream', 'holds a NUL byte'],
      ['that is not UTF-8', Buffer.from('#!/bin/bash\n# \xe4\n', 'latin1'), 'stream', 'is not UTF-8'],
      ['with Windows line ends', '#!/bin/bash\r\necho\r\n', 'stream', 'has Windows line ends'],
      [
        'of more than 1 MiB',
        `#!/bin/bash\n#${'x'.repeat(1_048_576)}`,
        'stream',
        'is larger than 1048576 bytes',
      ],
      [
        'without an interpreter, for directory',
        'print()\n',
        'directory',
        'must begin with "#!" and the absolute path of its interpreter',
      ],
      [
        'with an interpreter of no fixed place',
        '#!python3\n',
        'directory',
        'must begin with "#!" and the absolute path of its interpreter',
      ],
      [
        'with a syntax error',
        '#!/bin/bash\nif true; then\n  echo yes\nesac\n',
        'stream',
        "has a syntax error in line 4: syntax error near unexpected token `esac'",
      ],
      ['and accepts extended patterns', '#!/bin/bash\nshopt -s extglob\nls @(a|b)\n', 'stream', undefined],
      ['and runs nothing of it', '#!/bin/bash\nexit 7\n', 'stream', undefined],
      ['and accepts Bash by its path', '#!/bin/bash -p\n', 'stream', undefined],
      ['and accepts Bash by env', '#! /usr/bin/env bash', 'stream', undefined],
      ['and accepts another language, for directory', '#!/usr/bin/env python3\n', 'directory', undefined],
    ];
    for (const [title, script, delivery, why] of cases) {
      it(title, async () => {
        await directory.write(
          bundle({ 'say/plugin.sh': script, 'say/manifest.yaml': { ...MANIFEST, delivery } }),
        );
        const expected =
          why === undefined ? [] : [`say/manifest.yaml:4 FILE entrypoint names say/plugin.sh, which ${why}`];
        assert.deepEqual(await faults(), expected);
      });
    }

    it('that is a link out of the bundle', async () => {
      await directory.write(bundle({ 'say/plugin.sh': undefined }));
      await symlink('/etc/passwd', join(directory.path, 'say/plugin.sh'));
      assert.deepEqual(await faults(), [
        'say/manifest.yaml:4 FILE entrypoint names say/plugin.sh, which leads out of its bundle',
      ]);
    });

    it('with helper files that cannot lie in one folder', async () => {
      const manifest = { ...MANIFEST, files: ['common/a', '/common', 'plugin/b'] };
      const helpers = { 'say/common/a': 'a\n', common: 'b\n', 'say/plugin/b': 'c\n' };
      await directory.write(bundle({ ...helpers, 'say/manifest.yaml': manifest }));
      assert.deepEqual(
        (await faults()).map((fault) => fault.match(/FILE files\[\d\]|lie beside the plugin as [\w/]+/g)),
        [
          ['FILE files[1]', 'lie beside the plugin as common'],
          ['FILE files[2]', 'lie beside the plugin as plugin/b'],
        ],
      );
    });

    it('that is too large together with library and helper files', async () => {
      const manifest = { ...MANIFEST, delivery: 'directory', files: ['a', 'b'] };
      const large = `#!/bin/sh\n${'#'.repeat(1_000_000)}\n`;
      await directory.write(
        bundle({ 'say/plugin.sh': large, 'say/a': large, 'say/b': large, 'say/manifest.yaml': manifest }),
      );
      const [fault = ''] = await faults();
      assert.match(fault, /SIZE files names too much: .* together are larger than 2621440 bytes$/);
    });

    it('whose directory is a link out of the bundle', async () => {
      await directory.write({ ...prefixed('a', bundle()), ...prefixed('b', bundle()) });
      await rm(join(directory.path, 'a/say'), { recursive: true });
      await symlink('../b/say', join(directory.path, 'a/say'));
      assert.deepEqual(await faults('a'), [
        'a/bundle.yaml:7 FILE actions[0] names say/manifest.yaml, which leads out of its bundle',
      ]);
    });
  });

  it('reports all faults of a bundle together, whatever their kind', async () => {
    const { description: _, ...headless } = BUNDLE;
    await directory.write(
      bundle({
        'bundle.yaml': { ...headless, module_version: '1' },
        'say/manifest.yaml': { ...MANIFEST, version: '1', timeout_ms: 1, mode: 'detached' },
      }),
    );
    assert.deepEqual(
      (await faults()).map((fault) => fault.split(' ').slice(0, 3).join(' ')),
      [
        'bundle.yaml:1 REQUIRED description',
        'bundle.yaml:2 VERSION module_version',
        'say/manifest.yaml:21 MINIMUM timeout_ms',
        'say/manifest.yaml:2 VERSION version',
        'say/manifest.yaml:22 NOT_SUPPORTED mode',
      ],
    );
  });

  it('reports the faults of all bundles together', async () => {
    await directory.write({
      ...prefixed('a', bundle({ 'bundle.yaml': { ...BUNDLE, module_version: '1' } })),
      ...prefixed('b', bundle({ 'say/manifest.yaml': { ...MANIFEST, version: '1' } })),
    });
    assert.deepEqual(
      (await faults('a', 'b', 'c')).map((fault) => fault.split(' ')[0]),
      ['a/bundle.yaml:2', 'b/say/manifest.yaml:2', 'c/bundle.yaml'],
    );
  });

  describe('of several bundles', () => {
    const other = (head: object, manifest: object): Record<string, string | Buffer> =>
      prefixed(
        'b',
        bundle({ 'bundle.yaml': { ...BUNDLE, ...head }, 'say/manifest.yaml': { ...MANIFEST, ...manifest } }),
      );

    it('serves the newest version by default and the others by name@version', async () => {
      await directory.write({
        ...prefixed('a', bundle()),
        ...other({ module_version: '1.10.0' }, { version: '1.10.0' }),
      });
      const registry = await load([join(directory.path, 'a'), join(directory.path, 'b')]);
      assert.equal(registry.get('say').capability.version, '1.10.0');
      assert.equal(registry.get('say@1.0.0').capability.version, '1.0.0');
      assert.deepEqual(
        registry.list().map(({ capability }) => capability.version),
        ['1.10.0'],
      );
    });

    it('refuses one version of an action from two places, naming both', async () => {
      await directory.write({
        ...prefixed('a', bundle()),
        ...other({ module_version: '2.0.0' }, { risk: 'high' }),
      });
      assert.deepEqual(await faults('a', 'b'), [
        'b/say/manifest.yaml VERSION_CONFLICT the action say@1.0.0 is provided by a/say/manifest.yaml too',
      ]);
    });

    it('refuses an action from two modules, whatever its versions, naming both', async () => {
      for (const version of ['1.0.0', '2.0.0']) {
        await directory.write({
          ...prefixed('a', bundle()),
          ...other({ module_name: 'other' }, { version }),
        });
        assert.deepEqual(await faults('a', 'b'), [
          'b/say/manifest.yaml ALREADY_PROVIDED the action say is already provided by a/say/manifest.yaml (module test)',
        ]);
      }
    });

    it('refuses one version of a module from two places', async () => {
      await directory.write({ ...prefixed('a', bundle()), ...other({}, { version: '2.0.0' }) });
      assert.deepEqual(await faults('a', 'b'), [
        'b/bundle.yaml DUPLICATE the module test@1.0.0 is declared by a/bundle.yaml too',
      ]);
    });
  });

  describe('get', () => {
    const cases: [reference: string, message: string][] = [
      ['sya', 'There is no action "sya"; did you mean "say"?'],
      ['Say', 'There is no action "Say"; did you mean "say"?'],
      ['reboot', 'There is no action "reboot".'],
      ['say@2.0.0', 'There is no action "say@2.0.0"; the versions of say are 1.0.0.'],
      ['say@', 'There is no action "say@"; the versions of say are 1.0.0.'],
      ['say@1.0.0@x', 'There is no action "say@1.0.0@x"; the versions of say are 1.0.0.'],
      ['../../etc/passwd', 'There is no action "../../etc/passwd".'],
      ['s\u0430y', 'There is no action "s\u0430y"; did you mean "say"?'],
      ['\u001b[2J', 'There is no action "\\u001b[2J".'],
      ['constructor', 'There is no action "constructor".'],
      ['x'.repeat(1000), `There is no action "${'x'.repeat(64)}…".`],
    ];
    for (const [reference, message] of cases) {
      it(`refuses ${JSON.stringify(reference.slice(0, 20))}`, async () => {
        await directory.write(bundle());
        const registry = await load([directory.path]);
        assert.throws(
          () => registry.get(reference),
          (thrown: unknown) => {
            assert(thrown instanceof RuneError);
            assert.equal(thrown.name, 'ACTION_NOT_FOUND');
            assert.equal(thrown.message, message);
            assert((thrown.facts.originalValue ?? '').length <= 200);
            return true;
          },
        );
      });
    }
  });

  it('makes one sentence of it for a person', async () => {
    await directory.write(bundle({ 'say/manifest.yaml': { ...MANIFEST, version: '1', action: 'A' } }));
    await assert.rejects(load([directory.path]), {
      message: `The plugin bundle ${directory.path} has 2 faults, the first: ${directory.path}/say/manifest.yaml:1: action must be lower-case words of letters and digits joined by "-", beginning with a letter.`,
    });
  });
});

function prefixed(prefix: string, files: Record<string, string | Buffer>): Record<string, string | Buffer> {
  return Object.fromEntries(Object.entries(files).map(([name, content]) => [`${prefix}/${name}`, content]));
}
