import assert from 'node:assert/strict';
import { stringify } from 'yaml';
import { USER_NAME_RULE } from '../../../services/shared/user-name.js';
import { bundleDirectory } from './bundle-directory.js';
import { MANIFEST, bundle } from './say-bundle.js';

describe('load bundles', () => {
  const { directory, faults } = bundleDirectory();

  it('refuses a default of a parameter that breaks its own schema, by its line', async () => {
    const properties = { times: { type: 'integer', default: 'twice' }, text: { type: 'string' } };
    const input_schema = { type: 'object', required: ['text'], properties };
    await directory.write(bundle({ 'say/manifest.yaml': { ...MANIFEST, input_schema, examples: [] } }));
    assert.deepEqual(
      (await faults()).map((fault) => fault.replace(/:\d+/, '')),
      ['say/manifest.yaml TYPE input_schema.properties.times.default must be an integer'],
    );
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
});
