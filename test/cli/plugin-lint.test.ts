import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { access, chmod } from 'node:fs/promises';
import { join } from 'node:path';
import type { PluginLintOptions } from '../../services/cli/commands/plugin.js';
import { lintCommand } from '../../services/cli/plugin/lint/lint-command.js';
import { manifestAdvice } from '../../services/cli/plugin/lint/manifest-advice.js';
import { withoutSharedVariables } from '../../services/cli/plugin/lint/shellcheck.js';
import { findStdoutWrites } from '../../services/cli/plugin/lint/stdout-writes.js';
import { definedFunctions, findUnknownFunctions } from '../../services/cli/plugin/lint/unknown-functions.js';
import { readYaml } from '../../services/shared/files/yaml-source.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';
import { createFakeIo } from './fake-io.js';

const MANIFEST = `action: hello
version: 1.0.0
description: Says hello.
entrypoint: plugin.sh
risk: low
input_schema:
  type: object
  properties:
    name: { type: string }
output_schema: { type: object }
examples:
  - description: Greets
    params: { name: 1 }
`;
const SCRIPT = `#!/usr/bin/env bash
rune_init
rune_param -v name name
wait -n
echo hello
rm $name
rune_ok
`;

describe('rune plugin lint', () => {
  let directory: TempDirectory;
  before(async () => {
    directory = await makeTempDirectory();
    await directory.write({
      'bundle.yaml':
        'module_name: b\nmodule_version: 1.0.0\nmodule_class: x\ndescription: B.\nactions:\n  - hello\n  - other\n',
      'hello/manifest.yaml': MANIFEST,
      'hello/plugin.sh': SCRIPT,
      'hello/tests.yaml': 'cases:\n  - name: one\n    expects: {}\n',
      'other/manifest.yaml': MANIFEST.replace('name: 1', 'name: Ada').replace('hello', 'other'),
      'other/plugin.sh': '#!/usr/bin/env bash\nrune_init\nrune_ok\n',
    });
  });
  after(() => directory.remove());

  const lint = async (path: string, options: Partial<PluginLintOptions> = {}, env = process.env) => {
    const io = createFakeIo({ env: env as Record<string, string> });
    const given = {
      directory: join(directory.path, path),
      strict: false,
      output: 'pretty',
      ...options,
    } as const;
    return { code: await lintCommand(given, io), out: io.out(), err: io.err() };
  };
  const relative = (text: string) => text.replaceAll(`${directory.path}/`, '');

  it('tells every fault with its file and line, and ends with 1', async () => {
    const { code, out, err } = await lint('hello');
    assert.equal(code, 1);
    assert.deepEqual(
      relative(out)
        .split('\n')
        .map((line) => line.replace(/: (error|warning): .* \[(\w+)\]$/, ' $1 $2')),
      [
        'hello/manifest.yaml:5 warning NO_DRY_RUN',
        'hello/manifest.yaml:9 warning NO_DESCRIPTION',
        'hello/manifest.yaml:13 error TYPE',
        'hello/plugin.sh:4 error NEWER_SYNTAX',
        'hello/plugin.sh:5 warning STDOUT',
        'hello/plugin.sh:6 warning SC2086',
        'hello/tests.yaml:3 error UNKNOWN',
        '',
      ],
      out,
    );
    assert.match(err, /hello: 3 errors, 4 warnings\n$/);
  });

  it('of one action does not look at the others, and of a bundle looks at all', async () => {
    const other = await lint('other');
    assert.equal(other.code, 0, other.out);
    assert.doesNotMatch(other.out, /hello/);
    const all = await lint('.');
    assert.equal(all.code, 1);
    assert.match(relative(all.out), /^hello\/plugin\.sh:4.*\n[^]*^other\/manifest\.yaml:5: warning/m);
  });

  it('counts warnings with --strict', async () => {
    assert.equal((await lint('other', { strict: true })).code, 1);
  });

  it('writes one JSON document, or one finding a line', async () => {
    const json = await lint('hello', { output: 'json' });
    const document = JSON.parse(json.out) as { findings: object[]; errors: number; warnings: number };
    assert.deepEqual([document.errors, document.warnings, document.findings.length], [3, 4, 7]);
    assert.deepEqual(document.findings[3], {
      file: join(directory.path, 'hello/plugin.sh'),
      line: 4,
      severity: 'error',
      rule: 'NEWER_SYNTAX',
      message: 'bash 4.2, which a node may have, does not know wait -n (4.3)',
    });
    const lines = (await lint('hello', { output: 'ndjson' })).out.trim().split('\n');
    assert.deepEqual(
      lines.map((line): unknown => JSON.parse(line)),
      document.findings,
    );
  });

  it('warns that shellcheck did not run where there is none', async () => {
    const { code, out } = await lint('other', {}, { PATH: '/nonexistent' });
    assert.equal(code, 0);
    assert.match(
      out,
      /warning: the scripts were not checked by shellcheck, which is not installed \[SHELLCHECK\]/,
    );
  });

  it('hears what the nearest .shellcheckrc disables and enables', async () => {
    await directory.write({
      'strict/.shellcheckrc': '# ours\ndisable=SC2086,SC2154-SC2155\nenable=require-variable-braces\n',
      'strict/a/manifest.yaml': MANIFEST.replace('name: 1', 'name: Ada'),
      'strict/a/plugin.sh': '#!/usr/bin/env bash\nrune_init\nrm $name >&2\nrune_ok\n',
    });
    const { out } = await lint('strict/a');
    assert.deepEqual(out.match(/SC\d+/g), ['SC2250']);
  });

  it('reads no file for a bundle that is not of it, and runs nothing of it', async () => {
    await directory.write({
      'evil/.shellcheckrc': 'external-sources=true\n',
      'evil/a/.shellcheckrc': 'external-sources=true\n',
      'evil/a/manifest.yaml': MANIFEST.replace('name: 1', 'name: Ada'),
      'evil/a/plugin.sh': `#!/usr/bin/env bash
# shellcheck source=${directory.path}/fifo
source x
rune_init
rune_ok
`,
      'evil/shellcheck': `#!/bin/sh\ntouch ${directory.path}/canary\n`,
    });
    await chmod(join(directory.path, 'evil/shellcheck'), 0o755);
    // Whoever reads it waits for ever.
    execFileSync('mkfifo', [join(directory.path, 'fifo')]);
    const { out } = await lint('evil/a', {}, { ...process.env, PATH: `.:${process.env['PATH']}` });
    assert.doesNotMatch(out, /SHELLCHECK/);
    await assert.rejects(access(join(directory.path, 'canary')));
  });

  it('names faults of bundle.yaml by its own lines, also when it looks at one action', async () => {
    await directory.write({
      'faulty/bundle.yaml':
        'module_name: b\nmodule_version: 1.0.0\nmodule_class: x\ndescription: B.\nlibrary: lib/none.sh\nactions: [a]\n',
      'faulty/a/manifest.yaml': MANIFEST.replace('name: 1', 'name: Ada'),
      'faulty/a/plugin.sh': '#!/usr/bin/env bash\nrune_init\nrune_ok\n',
    });
    const { out } = await lint('faulty/a');
    assert.match(
      relative(out),
      /^faulty\/bundle\.yaml:5: error: library names lib\/none\.sh, which does not exist/m,
    );
  });

  it('warns of an action that no bundle lists', async () => {
    await directory.write({ 'lone/manifest.yaml': MANIFEST.replace('name: 1', 'name: Ada') });
    await directory.write({ 'lone/plugin.sh': '#!/usr/bin/env bash\nrune_init\nrune_ok\n' });
    const { code, out } = await lint('lone');
    assert.equal(code, 0, out);
    assert.match(out, /\[UNLISTED\]/);
  });

  it('knows the variables of a Bolt task, and what only set -u forbids', async () => {
    const task = `#!/bin/bash\nwords=()\necho "$PT_name $PT__task $PT__installdir" "\${words[@]}"\n`;
    await directory.write({
      'tasks/bundle.yaml':
        'module_name: b\nmodule_version: 1.0.0\nmodule_class: x\ndescription: B.\nactions: [a]\n',
      'tasks/a/manifest.yaml':
        'action: a\nversion: 1.0.0\nprotocol: bolt\nentrypoint: a.sh\nbolt_metadata: a.json\nrisk: read_only\n',
      'tasks/a/a.json':
        '{"description": "A.", "input_method": "environment", "parameters": {"name": {"description": "N.", "type": "String"}}}',
      'tasks/a/a.sh': task,
    });
    assert.deepEqual((await lint('tasks')).out.match(/\w+ is referenced|NEWER_SYNTAX/g), [
      'PT__installdir is referenced',
    ]);
    await directory.write({ 'tasks/a/a.sh': task.replace('words=()', 'set -eu; words=()') });
    assert.match((await lint('tasks')).out, /a\.sh:3: error: .*under set -u.*\[NEWER_SYNTAX\]/);
  });

  it('tells of Windows line ends once a script', async () => {
    await directory.write({ 'windows/manifest.yaml': MANIFEST.replace('name: 1', 'name: Ada') });
    await directory.write({ 'windows/plugin.sh': '#!/usr/bin/env bash\r\nrune_init\r\nrune_ok\r\n' });
    assert.equal((await lint('windows')).out.match(/SC1017/g)?.length, 1);
  });

  it('refuses a directory that is neither an action nor a bundle, and one that is not there', async () => {
    await directory.write({ 'lib/a.sh': '' });
    const { code, err } = await lint('lib');
    assert.equal(code, 2);
    assert.match(err, /holds neither manifest\.yaml nor bundle\.yaml/);
    for (const path of ['none', 'lib/a.sh'])
      assert.match((await lint(path)).err, /there is no such directory/);
  });
});

describe('misspelt functions of the library are found', () => {
  const known = new Set(['rune_progress', 'rune_param']);
  const script = [
    '# rune_parm',
    'name=$(rune_parm name)',
    'rune_progres 1 "rune_progress"',
    'rune_user=1; rm "$rune_parm" /rune_parm ${rune_parm}',
    'rune_something_else',
  ].join('\n');

  it('with their lines and what may have been meant, and nothing else is', () => {
    assert.deepEqual(findUnknownFunctions(script, known), [
      { line: 2, what: 'rune_parm is no function of the library; did you mean "rune_param"?' },
      { line: 3, what: 'rune_progres is no function of the library; did you mean "rune_progress"?' },
    ]);
  });

  it('unless the script defines them', () => {
    assert.deepEqual(definedFunctions('rune_parm() {\n}\n  function rune_b ()\n# rune_c()'), [
      'rune_parm',
      'rune_b',
    ]);
  });
});

describe('writes to standard output are guessed', () => {
  const cases: [string, number[]][] = [
    ['echo a', [1]],
    ['echo a >&2', []],
    ['echo a > "$file"', []],
    ['echo a | logger', []],
    ['echo a || echo b', [1, 1]],
    ['printf -v a %s b', []],
    ['x=$(echo a)\nx=$(\n  echo a\n)', []],
    ['read -r x < <(echo a)', []],
    ['echo "a\nb" \\\n  >&2', []],
    ['if true; then echo a; fi', [1]],
    ['[[ $a == b ]] || printf a', [1]],
    ['case $a in\n  b) echo c ;;\nesac', [2]],
    ['# echo a\n: "echo a" # echo b', []],
    ['cat >&2 <<E\necho a\nE\necho b', [4]],
    ['{ echo a; echo b; } >&2', []],
    ['for a in 1; do\n  echo a\ndone | cat >&2', []],
    ['f() {\n  echo a ${b[@]+"${b[@]}"}\n}\nx=$(f)', []],
    ['f() {\n  echo a\n}\nf', [2]],
    ['exec >&2\necho a', []],
    ['rune_log info "echo a"', []],
  ];
  it('in a script of a megabyte too, as far as anybody would read', () => {
    for (const line of ['echo a\n', 'f() { echo a; }\n', '$(', '{ echo a\n']) {
      const found = findStdoutWrites(line.repeat(1_000_000 / line.length));
      assert.equal(found.length, line === '$(' ? 0 : 100);
    }
  });

  for (const [script, lines] of cases) {
    it(`${JSON.stringify(script)}: ${lines.length === 0 ? 'none' : `line ${lines.join(' and ')}`}`, () => {
      assert.deepEqual(findStdoutWrites(script), lines);
    });
  }
});

describe('advice on a manifest', () => {
  const rulesOf = (text: string) =>
    manifestAdvice(readYaml(Buffer.from(text), 'm')).map(({ line, rule }) => `${line} ${rule}`);

  it('asks for a dry run only where a plugin can be told', () => {
    assert.deepEqual(rulesOf('risk: high\n'), ['1 NO_DRY_RUN']);
    assert.deepEqual(rulesOf('risk: high\nsupports_dry_run: true\n'), []);
    assert.deepEqual(rulesOf('risk: high\nprotocol: raw\n'), []);
    assert.deepEqual(rulesOf('risk: high\nprotocol: bolt\n'), []);
    assert.deepEqual(rulesOf('risk: read_only\n'), []);
  });

  it('asks for -- before an argument that a caller chooses', () => {
    assert.deepEqual(rulesOf("arguments: ['-H', '{host}', '{path}']\n"), ['1 NO_SEPARATOR']);
    assert.deepEqual(rulesOf("arguments: ['-H', '{host}', '--', '{path}']\n"), []);
    assert.deepEqual(rulesOf("arguments:\n  - -v\n  - if: x\n    add: ['a', '{x}']\n"), ['4 NO_SEPARATOR']);
    assert.deepEqual(rulesOf("arguments: ['--host={host}']\n"), []);
  });
});

describe('variables of the bundle', () => {
  const finding = (file: string, message: string) => ({
    file,
    line: 1,
    isError: false,
    rule: 'SC0',
    message,
  });
  const unassigned = (file: string, name: string) => finding(file, `${name} is referenced but not assigned.`);
  const scripts = new Map([
    [
      'a.sh',
      'rune_param -v name name\nrune_param_list units units\nrune_json_get path "$x" a\necho "${limit}"',
    ],
    ['lib.sh', 'limit=3\nother=4\n'],
  ]);

  it('that the library or another script sets are not told as unassigned', () => {
    const names = ['name', 'units', 'path', 'limit', 'x'];
    const left = withoutSharedVariables(
      names.map((name) => unassigned('a.sh', name)),
      scripts,
    );
    assert.deepEqual(left, [unassigned('a.sh', 'x')]);
  });

  it('that another script uses are not told as unused', () => {
    const unused = (name: string) => finding('lib.sh', `${name} appears unused. Verify use.`);
    assert.deepEqual(withoutSharedVariables([unused('limit'), unused('other')], scripts), [unused('other')]);
  });
});
