import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { stringify } from 'yaml';
import type { Action } from '../../../services/shared/bundle/action.js';
import { ParameterInput } from '../../../services/shared/gen/rune/v1/lmm.js';
import { PluginProtocol } from '../../../services/shared/gen/rune/v1/mrs.js';
import { createSchemaCompiler } from '../../../services/shared/schema/schema.js';
import { loadBundles } from '../../../services/lom/actions/load-bundles.js';
import { faultsOf } from '../../support/faults-of.js';
import { makeTempDirectory, type TempDirectory } from '../../support/temp-directory.js';

const BUNDLE = {
  module_name: 'test',
  module_version: '1.0.0',
  module_class: 'test',
  description: 'For tests.',
  actions: ['act'],
};
const COMMON = { action: 'act', version: '1.0.0', risk: 'low' };
const DESCRIBED = { ...COMMON, description: 'Acts.', input_schema: { type: 'object' } };
const CHECK = { ...DESCRIBED, protocol: 'nagios', command: '/usr/lib/nagios/plugins/check_load' };
const SCRIPT = { ...DESCRIBED, protocol: 'raw', entrypoint: 'act.sh' };
const TASK = { ...COMMON, protocol: 'bolt', entrypoint: 'act.sh', bolt_metadata: 'act.json' };
const METADATA = {
  description: 'Acts on a unit.',
  supports_noop: true,
  input_method: 'both',
  parameters: {
    unit: { type: 'String[1]', description: 'Which.' },
    force: { type: 'Boolean', default: false },
  },
};

const schemas = createSchemaCompiler();

describe('load actions of other protocols', () => {
  let directory: TempDirectory;
  beforeEach(async () => {
    directory = await makeTempDirectory();
  });
  afterEach(() => directory.remove());

  async function load(manifest: object, metadata: unknown = METADATA): Promise<Action> {
    await directory.write({
      'bundle.yaml': stringify(BUNDLE),
      'act/manifest.yaml': stringify(manifest),
      'act/act.sh': '#!/bin/bash\necho acted\n',
      'act/act.json': typeof metadata === 'string' ? metadata : JSON.stringify(metadata, undefined, 2),
    });
    return (await loadBundles([directory.path], schemas)).get('act');
  }

  const faults = (manifest: object, metadata: unknown = METADATA): Promise<string[]> =>
    faultsOf(load(manifest, metadata), directory.path);

  const digestOf = (...files: string[]): string => {
    const command = `sha256sum ${files.join(' ')} | sha256sum`;
    return (
      execFileSync('bash', ['-c', command], { cwd: directory.path, encoding: 'utf8' }).split(' ')[0] ?? ''
    );
  };

  it('makes a program of the node the first argument of a constant script, and requires it', async () => {
    const action = await load({ ...CHECK, requires: ['df'], arguments: ['-w', '5'] });
    assert.equal(action.script.toString(), '#!/usr/bin/env bash\nexec -- "$@"\n');
    assert.deepEqual(action.arguments[0], { when: undefined, words: [[{ text: CHECK.command }]] });
    assert.deepEqual(action.capability.requires?.commands, [CHECK.command, 'df']);
    assert.equal(action.capability.protocol, PluginProtocol.NAGIOS);
    assert.match(action.capability.outputSchema, /performance_data/);
    assert.equal(action.library.length, 0);
    assert.equal(action.capability.digest, digestOf('act/manifest.yaml'));
  });

  it('sends a script of the bundle as it is, without the library', async () => {
    const action = await load(SCRIPT);
    assert.equal(action.script.toString(), '#!/bin/bash\necho acted\n');
    assert.equal(action.library.length, 0);
    assert.equal(action.capability.digest, digestOf('act/act.sh', 'act/manifest.yaml'));
  });

  it('takes from the metadata of a task what the manifest does not give', async () => {
    const { capability, parameterInput } = await load(TASK);
    assert.equal(capability.description, 'Acts on a unit.');
    assert.equal(capability.supportsDryRun, true);
    assert.equal(parameterInput, ParameterInput.BOTH);
    assert.deepEqual(JSON.parse(capability.inputSchema), {
      type: 'object',
      additionalProperties: false,
      properties: {
        unit: { type: 'string', minLength: 1, description: 'Which.' },
        force: { type: 'boolean', default: false },
      },
      required: ['unit'],
    });
    assert.equal(capability.digest, digestOf('act/act.json', 'act/act.sh', 'act/manifest.yaml'));
  });

  it('takes from the manifest what it gives', async () => {
    const { capability } = await load({ ...TASK, ...DESCRIBED, protocol: 'bolt', supports_dry_run: false });
    assert.equal(capability.description, 'Acts.');
    assert.equal(capability.supportsDryRun, false);
    assert.equal(capability.inputSchema, '{"type":"object"}');
  });

  it('takes a task without metadata, with its parameters on stdin', async () => {
    const { bolt_metadata: _metadata, ...task } = TASK;
    const { parameterInput } = await load({ ...DESCRIBED, ...task });
    assert.equal(parameterInput, ParameterInput.UNSPECIFIED);
  });

  const inputs: [method: unknown, input: ParameterInput][] = [
    [undefined, ParameterInput.STDIN],
    ['stdin', ParameterInput.STDIN],
    ['environment', ParameterInput.ENVIRONMENT],
    ['both', ParameterInput.BOTH],
  ];
  for (const [input_method, input] of inputs) {
    it(`gives the parameters of a task with input_method ${String(input_method)} that way`, async () => {
      assert.equal((await load(TASK, { ...METADATA, input_method })).parameterInput, input);
    });
  }

  it('takes any parameters for a task that does not list them, and none for one that lists none', async () => {
    const openness = async (parameters: unknown): Promise<unknown> => {
      const { inputSchema } = (await load(TASK, { description: 'x', parameters })).capability;
      return (JSON.parse(inputSchema) as Record<string, unknown>)['additionalProperties'];
    };
    assert.deepEqual(
      [await openness(undefined), await openness(null), await openness({})],
      [true, true, false],
    );
  });

  it('marks what is sensitive for a task as a secret, on stdin', async () => {
    const metadata = {
      ...METADATA,
      input_method: 'stdin',
      parameters: { key: { type: 'String', sensitive: true } },
    };
    const { inputSchema } = (await load(TASK, metadata)).capability;
    assert.deepEqual(JSON.parse(inputSchema).properties, { key: { type: 'string', writeOnly: true } });
  });

  it('accepts metadata with tabs, keys that are not known here, and lists that ask for nothing', async () => {
    const text =
      '{\n\t"puppet_task_version": 1,\n\t"description": "x",\n\t"files": [],\n\t"remote": false,\n\t"extensions": {"a": 1}\n}\n';
    assert.equal((await load(TASK, text)).capability.description, 'x');
  });

  const refused: [title: string, manifest: object, metadata: unknown, expected: string[]][] = [
    [
      'a protocol that does not exist',
      { ...SCRIPT, protocol: 'ansible' },
      METADATA,
      ['act/manifest.yaml:7 ENUM protocol must be one of "bpcs", "raw", "nagios", "bolt"'],
    ],
    [
      'neither script nor command',
      { ...DESCRIBED, protocol: 'raw' },
      METADATA,
      ['act/manifest.yaml:1 REQUIRED entrypoint is required'],
    ],
    [
      'both',
      { ...CHECK, entrypoint: 'act.sh' },
      METADATA,
      ['act/manifest.yaml:8 CONFLICT command stands beside entrypoint: give one of the two'],
    ],
    [
      'a relative command',
      { ...CHECK, command: 'bin/check' },
      METADATA,
      [
        'act/manifest.yaml:8 COMMAND command must be the name or the absolute path of a command: letters, digits, "_", "+", "." and "-"',
      ],
    ],
    [
      'a command that is a line of shell',
      { ...CHECK, command: 'check; id' },
      METADATA,
      [
        'act/manifest.yaml:8 COMMAND command must be the name or the absolute path of a command: letters, digits, "_", "+", "." and "-"',
      ],
    ],
    [
      'files for a command',
      { ...CHECK, files: ['x.sh'], delivery: 'directory' },
      METADATA,
      [
        'act/manifest.yaml:9 NOT_SUPPORTED files is for a script of the bundle, and this action has a command',
        'act/manifest.yaml:11 NOT_SUPPORTED delivery is for a script of the bundle, and this action has a command',
      ],
    ],
    [
      'arguments for a plugin of RUNE',
      { ...SCRIPT, protocol: 'bpcs', output_schema: { type: 'object' }, arguments: ['x'] },
      METADATA,
      ['act/manifest.yaml:11 NOT_SUPPORTED arguments is for the protocols raw and nagios, and this is bpcs'],
    ],
    [
      'a command for a task',
      { ...CHECK, protocol: 'bolt' },
      METADATA,
      ['act/manifest.yaml:8 NOT_SUPPORTED command is for the protocols raw and nagios, and this is bolt'],
    ],
    [
      'metadata for a program',
      { ...SCRIPT, bolt_metadata: 'act.json' },
      METADATA,
      ['act/manifest.yaml:9 NOT_SUPPORTED bolt_metadata is for the protocol bolt, and this is raw'],
    ],
    [
      'a configuration for a program',
      { ...SCRIPT, configuration_schema: { type: 'object' } },
      METADATA,
      [
        'act/manifest.yaml:9 NOT_SUPPORTED configuration_schema is for the protocol bpcs: a plugin of the protocol raw is given no configuration',
      ],
    ],
    [
      'a dry run of a program',
      { ...SCRIPT, supports_dry_run: true },
      METADATA,
      [
        'act/manifest.yaml:9 NOT_SUPPORTED supports_dry_run must be false: a plugin of the protocol raw cannot be told that a run is dry',
      ],
    ],
    [
      'no output_schema for a plugin of RUNE',
      { ...SCRIPT, protocol: 'bpcs' },
      METADATA,
      ['act/manifest.yaml:1 REQUIRED output_schema is required'],
    ],
    [
      'an argument that names no parameter',
      { ...SCRIPT, arguments: ['-v', '{unit}'] },
      METADATA,
      ['act/manifest.yaml:11 UNKNOWN arguments[1] names "unit", which is no property of input_schema'],
    ],
    [
      'an argument that need not be given',
      {
        ...SCRIPT,
        input_schema: { type: 'object', properties: { unit: { type: 'string' } } },
        arguments: ['{unit}'],
      },
      METADATA,
      [
        'act/manifest.yaml:13 OPTIONAL arguments[0] names "unit", which need not be given: make it required, give it a default, or write {if: unit, add: [...]}',
      ],
    ],
    [
      'a secret as an argument',
      {
        ...SCRIPT,
        input_schema: {
          type: 'object',
          required: ['key'],
          properties: { key: { type: 'string', writeOnly: true } },
        },
        arguments: ['--key={key}'],
      },
      METADATA,
      [
        'act/manifest.yaml:16 SECRET arguments[0] names "key", which is a secret (writeOnly), and everybody on the node can read the arguments of a program',
      ],
    ],
    [
      '65 commands',
      { ...CHECK, requires: Array.from({ length: 64 }, (_, n) => `c${n}`) },
      METADATA,
      ["act/manifest.yaml:9 MAX_ITEMS requires may name at most 64 commands, the action's own among them"],
    ],
    [
      'a parameter of a task with a name that Bolt keeps for itself',
      { ...TASK, input_schema: { type: 'object', properties: { _installdir: { type: 'string' } } } },
      METADATA,
      [
        'act/manifest.yaml:10 NAME input_schema.properties._installdir begins with "_": such names are kept for what Bolt itself tells a task',
      ],
    ],
    [
      'metadata that is missing',
      { ...TASK, bolt_metadata: 'none.json' },
      METADATA,
      ['act/manifest.yaml:6 FILE bolt_metadata names act/none.json, which does not exist'],
    ],
    [
      'metadata outside of the bundle',
      { ...TASK, bolt_metadata: '../../x.json' },
      METADATA,
      [
        'act/manifest.yaml:6 PATH bolt_metadata must be a path inside the bundle: names of letters, digits, ".", "_" and "-" joined by "/", without ".."',
      ],
    ],
    [
      'metadata that is no JSON',
      TASK,
      '{\n  "description": \n',
      ['act/act.json:2 YAML the file is not valid YAML: Flow map must end with a }'],
    ],
    ['metadata that is no object', TASK, '[]', ['act/act.json:1 TYPE the file must be an object']],
    [
      'a task that nobody describes',
      TASK,
      { parameters: {} },
      ['act/manifest.yaml:1 REQUIRED description is required: the metadata of the task has none'],
    ],
    [
      'a type that is none',
      TASK,
      { ...METADATA, parameters: { unit: { type: 'String[' } } },
      ['act/act.json:7 TYPE parameters.unit.type is not the text of a Puppet type'],
    ],
    [
      'a parameter with a name that Puppet does not have',
      TASK,
      { ...METADATA, parameters: { _task: {} } },
      [
        'act/act.json:6 NAME parameters._task must be a name as Puppet has them: a lower-case letter, then lower-case letters, digits and "_"',
      ],
    ],
    [
      'files, implementations, remote and PowerShell',
      TASK,
      { ...METADATA, input_method: 'powershell', files: ['a'], implementations: [{}], remote: true },
      [
        'act/act.json:15 NOT_SUPPORTED files is not supported: name the files in `files` of the manifest',
        'act/act.json:18 NOT_SUPPORTED implementations is not supported: name the script in `entrypoint` of the manifest',
        'act/act.json:21 NOT_SUPPORTED remote is not supported: a task runs on the node itself',
        'act/act.json:4 NOT_SUPPORTED input_method is not supported: nodes with Windows are not served',
      ],
    ],
    [
      'a secret in the environment',
      TASK,
      { ...METADATA, parameters: { key: { type: 'Sensitive[String]' } } },
      [
        'act/manifest.yaml:6 SECRET bolt_metadata asks for the parameters in the environment, which other processes of the user can read, and the parameter key is a secret: use a task with input_method stdin',
      ],
    ],
    [
      'a secret that the manifest forgets',
      {
        ...TASK,
        ...DESCRIBED,
        protocol: 'bolt',
        input_schema: { type: 'object', properties: { key: { type: 'string' } } },
      },
      { ...METADATA, input_method: 'stdin', parameters: { key: { sensitive: true } } },
      [
        'act/manifest.yaml:11 SECRET input_schema.properties.key is sensitive in the metadata of the task: mark it writeOnly: true',
      ],
    ],
  ];
  for (const [title, manifest, metadata, expected] of refused) {
    it(`refuses ${title}`, async () => assert.deepEqual(await faults(manifest, metadata), expected));
  }
});
