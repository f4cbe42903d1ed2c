import assert from 'node:assert/strict';
import { join } from 'node:path';
import { createClient } from '../../services/cli/client.js';
import type { PluginTestOptions } from '../../services/cli/commands/plugin.js';
import { newCommand } from '../../services/cli/plugin/new-command.js';
import { LANGUAGES } from '../../services/cli/plugin/template-choices.js';
import { compareOutput } from '../../services/cli/plugin/test/compare-output.js';
import { testCommand } from '../../services/cli/plugin/test/test-command.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';
import { createFakeIo } from './fake-io.js';

const MANIFEST = `action: tried
version: 1.0.0
description: Does what it is told.
entrypoint: plugin.sh
risk: low
supports_dry_run: true
timeout_ms: 20000
configuration_schema:
  type: object
  additionalProperties: false
  properties:
    greeting: { type: string, default: Hello }
input_schema:
  type: object
  additionalProperties: false
  properties:
    how: { type: string, default: well, enum: [well, fails, slow, child, file, lacks] }
output_schema:
  type: object
  required: [greeting, tier, numbers]
  properties:
    greeting: { type: string }
    tier: { type: string }
    numbers: { type: array, items: { type: integer } }
examples:
  - description: Run dry
    params: {}
    output: { greeting: other, tier: none, numbers: [1, 2] }
  - description: Lacks something
    params: { how: lacks }
  - description: Taken over
    params: { how: fails }
`;
const SCRIPT = `#!/usr/bin/env bash
set -euo pipefail
rune_init
how=$(rune_param how)
rune_log info "it goes $how"
case $how in
  fails) rune_error 3 'It went wrong' ;;
  lacks) rune_error 2 'docker is missing' ;;
  slow) sleep 20 ;;
  child) sleep 20 >/dev/null 2>&1 & ;;
  file) mktemp >&2 ;;
esac
rune_ctx_json -v configuration configuration
rune_ctx_json -v vars node_vars
rune_json_get greeting "$configuration" greeting
rune_json_get tier "$vars" tier || tier=none
rune_dry_run || true
rune_ok_kv '' greeting="$greeting" tier="$tier" numbers:='[1,2]'
`;
const TESTS = `examples: exact
allow_changes: true
cases:
  - name: good
    expect:
      output: { greeting: Hello, numbers: [1, 2] }
      log: [it goes well]
      exit_code: 0
  - name: takes over an example
    example: Taken over
    expect: { error: PLUGIN_FAILED, exit_code: 3, message: went wrong }
  - name: is configured in its own way
    configuration: { greeting: Hi }
    vars: { tier: web }
    expect:
      output: { greeting: Hi, tier: web }
  - name: is refused
    params: { hwo: well }
    expect: { error: INVALID_PARAMS }
  - name: is stopped in time
    params: { how: slow }
    timeout: 1s
    expect: { state: timed_out }
  - name: leaves what it may
    params: { how: file }
    expect: { leaves_files: true }
  - name: left out
    skip: for now
  - name: another output
    expect:
      output: { greeting: Hallo, none: 1, numbers: [1] }
      log: [it goes wrong]
  - name: no failure
    expect: { error: PLUGIN_FAILED }
  - name: an unexpected failure
    params: { how: fails }
  - name: too slow
    params: { how: slow }
    expect: { within: 200ms }
  - name: leaves a process
    params: { how: child }
  - name: leaves a file
    params: { how: file }
`;

interface Document {
  cases: { name: string; result: string; differences?: string[]; reason?: string; log?: string[] }[];
  ok: number;
  failed: number;
  skipped: number;
}

describe('rune plugin test', () => {
  let directory: TempDirectory;
  before(async () => {
    directory = await makeTempDirectory();
    await directory.write({
      'tried/manifest.yaml': MANIFEST,
      'tried/plugin.sh': SCRIPT,
      'tried/tests.yaml': TESTS,
    });
  });
  after(() => directory.remove());

  const test = async (options: Partial<PluginTestOptions> = {}, path = 'tried') => {
    const env = { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent' };
    const io = createFakeIo({ env });
    const given = { directory: join(directory.path, path), cases: [], allowChanges: false } as const;
    const code = await testCommand({ ...given, output: 'pretty', ...options }, { io, createClient });
    return { code, out: io.out(), err: io.err() };
  };

  describe('runs everything through services of its own', () => {
    let code: number;
    let document: Document;
    before(async () => {
      const answer = await test({ output: 'json' });
      code = answer.code;
      document = JSON.parse(answer.out) as Document;
    });
    const found = (name: string) => {
      const result = document.cases.find((one) => one.name === name);
      assert.ok(result !== undefined, `there is a case ${name}`);
      return result;
    };

    it('and ends with 1 if a case is not as it must be', () => {
      assert.equal(code, 1);
      assert.deepEqual([document.ok, document.failed, document.skipped], [6, 7, 2]);
    });

    for (const name of [
      'good',
      'takes over an example',
      'is configured in its own way',
      'is refused',
      'is stopped in time',
      'leaves what it may',
    ]) {
      it(`and is content with: ${name}`, () => {
        assert.deepEqual(found(name).differences, undefined);
        assert.equal(found(name).result, 'ok');
      });
    }

    const failing: [string, RegExp[]][] = [
      ['example: Run dry', [/^output\.greeting: expected "other", got "Hello"$/]],
      [
        'another output',
        [
          /^output\.greeting: expected "Hallo", got "Hello"$/,
          /^output\.none: expected 1, is not there$/,
          /^output\.numbers: expected 1 items, got 2: \[1,2\]$/,
          /^expected a line of log with "it goes wrong"$/,
        ],
      ],
      ['no failure', [/^expected PLUGIN_FAILED; it succeeded$/]],
      ['an unexpected failure', [/^expected that it succeeded; it failed: PLUGIN_FAILED: It went wrong$/]],
      ['too slow', [/^expected that it succeeded; it timed out: RUN_TIMED_OUT/, /within 200ms, took \d+ms$/]],
      ['leaves a process', [/^expected 0 processes to be left, found 1$/]],
      ['leaves a file', [/^left in its temporary directory: tmp\.\w+$/]],
    ];
    for (const [name, sentences] of failing) {
      it(`and says what differs: ${name}`, () => {
        const { differences = [], result } = found(name);
        assert.equal(result, 'failed');
        assert.equal(differences.length, sentences.length, differences.join('\n'));
        for (const [index, sentence] of sentences.entries()) assert.match(differences[index] ?? '', sentence);
      });
    }

    it('and leaves out what is skipped, and examples that this machine has not the tools for', () => {
      assert.equal(found('left out').reason, 'for now');
      assert.equal(found('example: Lacks something').reason, 'docker is missing');
    });

    it('and shows the log of what failed', () => {
      assert.deepEqual(found('an unexpected failure').log, ['it goes fails']);
    });
  });

  it('runs examples of an action that changes nodes dry, and only the cases that are named', async () => {
    await directory.write({ 'dry/tried/manifest.yaml': MANIFEST, 'dry/tried/plugin.sh': SCRIPT });
    const { code, out, err } = await test({ cases: ['Run dry'] }, 'dry/tried');
    assert.equal(code, 0, out);
    assert.match(out, /^ok {4}tried: example: Run dry {2}\d[\d.]* m?s\n$/);
    assert.match(err, /^1 ok in /);
  });

  it('is content with what rune plugin new makes, in every language', async () => {
    for (const language of LANGUAGES) {
      const made = {
        name: `in-${language}`,
        language,
        risk: 'low',
        directory: join(directory.path, 'made'),
      } as const;
      await directory.write({ 'made/README.md': '' });
      assert.equal(await newCommand(made, createFakeIo()), 0);
    }
    const { code, out, err } = await test({}, 'made');
    assert.equal(code, 0, out + err);
    assert.match(err, /^12 ok in /);
  });

  it('names what is wrong with tests.yaml by file and line, all at once, and runs nothing', async () => {
    await directory.write({
      'faulty/manifest.yaml': MANIFEST,
      'faulty/plugin.sh': SCRIPT,
      'faulty/tests.yaml': `cases:
  - name: one
  - name: one
    dry_run: true
    example: Run dri
    params: {}
    expect: { state: succeeded, error: PLUGIN_FALED }
  - name: two
    allow_changes: true
    configuration: { greeting: 1 }
`,
    });
    const { code, out, err } = await test({}, 'faulty');
    assert.equal(code, 2);
    assert.equal(out, '');
    for (const sentence of [
      /tests\.yaml:2: cases\[0\] changes this machine: say dry_run: true, or allow_changes: true if it may/,
      /tests\.yaml:3: cases\[1\]\.name is "one", as another one's/,
      /tests\.yaml:6: cases\[1\]\.params and example exclude each other/,
      /tests\.yaml:5: cases\[1\]\.example is the description of no example; did you mean "Run dry"\?/,
      /tests\.yaml:7: cases\[1\]\.expect\.error is the name of no failure; did you mean "PLUGIN_FAILED"\?/,
      /tests\.yaml:7: cases\[1\]\.expect\.state is succeeded, and an error is expected/,
      /tests\.yaml:10: cases\[2\]\.configuration\.greeting must be a string/,
    ]) {
      assert.match(err, sentence);
    }
  });

  it('refuses a case that is not there', async () => {
    const { code, err } = await test({ cases: ['godo'] });
    assert.equal(code, 2);
    assert.match(err, /--case godo: there is no such case; did you mean "good"\?\n/);
  });
});

describe('an expected output', () => {
  it('is a part of what came', () => {
    const actual = { a: 1, b: { c: [1, { d: 2, e: 3 }], f: null } };
    assert.deepEqual(compareOutput({ b: { c: [1, { d: 2 }] } }, actual, 'exact'), []);
    assert.deepEqual(compareOutput({ b: { c: [1, { d: 3 }] } }, actual, 'exact'), [
      'output.b.c[1].d: expected 3, got 2',
    ]);
    assert.deepEqual(compareOutput({ b: { f: {} } }, actual, 'exact'), ['output.b.f: expected {}, got null']);
  });

  it('can be compared by its shape', () => {
    const actual = { a: 1, list: [{ b: 'x' }, { b: 'y' }, { b: 1 }] };
    assert.deepEqual(compareOutput({ a: 7, list: [] }, actual, 'shape'), []);
    assert.deepEqual(compareOutput({ a: '7', list: [{ b: '' }] }, actual, 'shape'), [
      'output.a: expected string, got 1',
      'output.list[2].b: expected string, got 1',
    ]);
  });

  it('is told missing where there is no output', () => {
    assert.deepEqual(compareOutput({ a: 1 }, undefined, 'exact'), ['output: expected {"a":1}, got nothing']);
  });
});
