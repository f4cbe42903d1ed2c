import assert from 'node:assert/strict';
import { runWithLibrary } from '../support/bash.js';
import type { BpcsAnswer } from './bpcs-document.js';
import { bpcsInput } from './bpcs-document.js';

/** Makes a script that prints what each of these commands leaves in `v`, between NUL bytes, and then answers nothing. */
function showing(commands: readonly string[]): string {
  return `set -euo pipefail; rune_init; ${commands.map((command) => `v=; ${command}; printf '%s\\0' "$v"`).join('\n')}
    trap - EXIT`;
}

async function valuesOf(commands: readonly string[], input: string, locale = 'C.UTF-8'): Promise<string[]> {
  const ending = await runWithLibrary(showing(commands), { input, environment: { LC_ALL: locale } });
  assert.equal(ending.stderr, '');
  assert.equal(ending.exitCode, 0);
  return ending.stdout.toString().split('\0').slice(0, -1);
}

async function checkTable(table: Readonly<Record<string, string>>, input: string): Promise<void> {
  const commands = Object.keys(table);
  for (const locale of ['C', 'C.UTF-8']) {
    const values = await valuesOf(commands, input, locale);
    assert.deepEqual(Object.fromEntries(commands.map((command, i) => [command, values[i]])), table, locale);
  }
}

describe('the shell library reads', () => {
  it('parameters as text, with defaults for those that are absent or null', () =>
    checkTable(
      {
        'rune_param -v v text': 'plain',
        'v=$(rune_param text)': 'plain',
        'rune_param -v v absent': '',
        'rune_param -v v absent "a default"': 'a default',
        'v=$(rune_param absent "a default")': 'a default',
        'rune_param -v v nothing fallback': 'fallback',
        'rune_param -v v empty fallback': '',
        'rune_param -v v no fallback': 'false',
        'rune_param -v v number': '1.50e+3',
        'rune_param -v v big': '123456789012345678901234567890',
        'rune_param -v v object': '{"a":[1,"x"]}',
        'rune_param -v v list': '[1,{"b":null}]',
        'rune_has_param no && v=yes': 'yes',
        'rune_has_param nothing || v=no': 'no',
        'rune_has_param absent || v=no': 'no',
      },
      bpcsInput({ text: 'plain', nothing: null, empty: '', no: false })
        .replace('"no":false', '"no":false,"number":1.50e+3,"big":123456789012345678901234567890')
        .replace('"no":false', '"no":false,"object":{"a":[1,"x"]},"list":[1,{"b":null}]'),
    ));

  it('parameters as JSON, exactly as it was sent', () =>
    checkTable(
      {
        'rune_param_json -v v text': '"say \\"hi\\" \\\\ \\n"',
        'v=$(rune_param_json text)': '"say \\"hi\\" \\\\ \\n"',
        'rune_param_json -v v object': '{"k\\"":["\\\\"]}',
        'rune_param_json -v v absent': 'null',
        "rune_param_json -v v absent '[]'": '[]',
        'rune_param_json -v v flag': 'true',
        'rune_all_params -v v': '{"text":"say \\"hi\\" \\\\ \\n","object":{"k\\"":["\\\\"]},"flag":true}',
        'v=$(rune_all_params)': '{"text":"say \\"hi\\" \\\\ \\n","object":{"k\\"":["\\\\"]},"flag":true}',
      },
      bpcsInput({ text: 'say "hi" \\ \n', object: { 'k"': ['\\'] }, flag: true }),
    ));

  it('context, message metadata and observability', () =>
    checkTable(
      {
        'rune_ctx -v v node': 'web01',
        'v=$(rune_ctx attempt)': '1',
        'rune_ctx -v v absent x': 'x',
        'rune_ctx_json -v v node': '"web01"',
        'rune_ctx_json -v v node_vars': '{"tier":"db"}',
        'rune_all_ctx -v v':
          '{"node":"web01","action":"test","attempt":1,"dry_run":false,"node_vars":{"tier":"db"}}',
        'rune_meta -v v created_at': '2026-11-22T12:00:00.000Z',
        'rune_meta -v v span_id': 'b7ad6b7169203331',
        'v=$(rune_meta absent x)': 'x',
        'rune_obs -v v trace_id': '0af7651916cd43dd8448eb211c80319c',
        'rune_obs -v v absent x': 'x',
      },
      bpcsInput({}, { node_vars: { tier: 'db' } }),
    ));

  it('any key as a key and nothing else', () => {
    const keys = [
      '',
      '__proto__',
      'constructor',
      '@',
      '*',
      'a]b',
      '$(echo x)',
      '`id`',
      'a"b',
      'a\\b',
      'é',
      '!',
      '~',
    ];
    const members = keys.map((key, i) => `${JSON.stringify(key)}:"value ${i}"`).join();
    const input = bpcsInput({ PLACE: 1 }).replace('"PLACE":1', () => members);
    return checkTable(
      Object.fromEntries(keys.map((key, i) => [`rune_param -v v '${key}'`, `value ${i}`])),
      input,
    );
  });

  it('the last of several equal keys, also when a whole section is repeated', () =>
    checkTable(
      {
        'rune_param -v v a': '2',
        'rune_param -v v old none': 'none',
        'rune_ctx -v v node none': 'none',
        'rune_meta -v v message_id none': 'none',
      },
      '{"message_metadata":{"message_id":"m"},"payload":{"input_parameters":{"old":1},"context":{"node":"n"}},' +
        '"payload":{"input_parameters":{"old":1},"input_parameters":{"a":1,"a":2}},"message_metadata":[]}',
    ));

  it('escapes of every kind', () =>
    checkTable(
      {
        'rune_param -v v all': '"\\/\b\f\n\r\t',
        'rune_param -v v unicode': 'é中\u{1f600}\u{10ffff}A&\\n"',
        'rune_param -v v lone': '\ufffd\ufffdx\ufffd\u{1f600}',
        'rune_param -v v controls': '\u0001\u001f\u007f',
        'rune_param -v v text': '\\u0041\\',
        'rune_param -v v kéy': 'found',
      },
      bpcsInput({ PLACE: 1 }).replace(
        '"PLACE":1',
        '"all":"\\"\\\\\\/\\b\\f\\n\\r\\t","unicode":"\\u00e9\\u4E2d\\ud83d\\uDE00\\uDBFF\\udfff\\u0041\\u0026\\u005cn\\u0022",' +
          '"lone":"\\ud83d\\udbffx\\ude00\\ud83d\\ude00","controls":"\\u0001\\u001f\u007f","text":"\\\\u0041\\\\",' +
          '"k\\u00e9y":"found"',
      ),
    ));

  it('parts of nested values, lists and keys', () =>
    checkTable(
      {
        'rune_param_json -v j tree; rune_json_get v "$j" disks 1 mount': '/var "x"',
        'rune_param_json -v j tree; rune_json_get v "$j" disks 0': '{"mount":"/"}',
        'rune_param_json -v j tree; rune_json_get v "$j" disks 7 || v=none': 'none',
        'rune_param_json -v j tree; rune_json_get v "$j" empty || v=none': 'none',
        'rune_json_get v "not json" a || v=none': 'none',
        'rune_param_list items list; v="${#items[@]}:${items[0]}:${items[1]}:${items[2]}:${items[3]}"':
          '4:a\nb:2:null:{"c":1}',
        'rune_param_list items absent; v=${#items[@]}': '0',
        'rune_json_items items \'["x", "y"]\'; v="${items[*]}"': 'x y',
        'rune_param_json -v j tree; rune_json_keys names "$j"; v="${names[*]}"': 'disks empty',
        'rune_json_keys names "[" || v=none': 'none',
      },
      bpcsInput({
        tree: { disks: [{ mount: '/' }, { mount: '/var "x"' }], empty: null },
        list: ['a\nb', 2, null, { c: 1 }],
      }),
    ));

  it('nothing from a document without payload', () =>
    checkTable(
      {
        'rune_param -v v a none': 'none',
        'rune_all_params -v v': '{}',
        'rune_all_ctx -v v': '{}',
        'rune_meta -v v a none': 'none',
        'rune_dry_run || v=no': 'no',
      },
      ' {"payload" : null , "other":[{"input_parameters":{"a":1}}]} \n',
    ));

  it('a document that is laid out over several lines', () =>
    checkTable(
      { 'rune_param -v v a': 'x', 'rune_param_json -v v b': '[\n        1,\n        {}\n      ]' },
      JSON.stringify({ payload: { input_parameters: { a: 'x', b: [1, {}] } } }, undefined, 2),
    ));

  it('the variables that plugins for the jq-based library use', async () => {
    const script = `set -u; rune_init
      printf '%s\\n' "$RUNE_MESSAGE_METADATA" "$RUNE_OBSERVABILITY" "$RUNE_INPUT_JSON"
      trap - EXIT`;
    const input = bpcsInput({ a: 'é"' });
    const lines = (await runWithLibrary(script, { input })).stdout.toString().trimEnd().split('\n');
    const whole = JSON.parse(input) as { message_metadata: object; observability: object };
    assert.deepEqual(
      lines.map((line) => JSON.parse(line) as unknown),
      [whole.message_metadata, whole.observability, whole],
    );
  });
});

describe('the shell library refuses', () => {
  const refused: Readonly<Record<string, [input: string, reason: RegExp]>> = {
    'an empty input': ['', /not JSON/],
    'text that is not JSON': ['{"payload":', /not JSON/],
    'two objects': ['{} {}', /not JSON/],
    'a list': ['[1]', /not a JSON object/],
    'a string': ['"x"', /not a JSON object/],
    'a word that is no JSON value': ['{"a":nul}', /not JSON/],
    'a number with a leading zero': ['{"a":01}', /not JSON/],
    'a raw line end in a string': ['{"a":"x\ny"}', /not JSON/],
    'an unknown escape': ['{"a":"\\x"}', /bad escape/],
    'half an escape': ['{"a":"\\u12"}', /bad escape/],
    'a raw control character': ['{"a":"\u0001"}', /control character/],
    'a document nested too deeply': [`{"a":${'['.repeat(400)}${']'.repeat(400)}}`, /nested deeper than 256/],
    'a document over the size limit': [`{"a":"${'x'.repeat(8_388_608)}"}`, /more than 8388608 bytes/],
    'a parameter with \\u0000': [
      bpcsInput({ ok: 'x', 'my key': 'a\u0000b' }),
      /parameter "my key" holds \\u0000/,
    ],
    'a parameter with \\u0000 deep inside': [
      bpcsInput({ outer: [{ a: '\u0000' }] }),
      /parameter "outer" holds \\u0000/,
    ],
    'a context with \\u0000': [
      bpcsInput({ ok: '\\u0000' }, { x: '\u0000' }),
      /Invalid input: it holds \\u0000/,
    ],
  };

  for (const [what, [input, reason]] of Object.entries(refused)) {
    it(`${what}, with exit code 1`, async function () {
      // Bash before 4.4 reads eight megabytes from a socket byte by byte.
      this.timeout(120_000);
      const ending = await runWithLibrary('rune_init; echo not reached', { input });
      const answer = JSON.parse(ending.stdout.toString()) as BpcsAnswer;
      assert.equal(ending.exitCode, 1);
      assert.equal(answer.payload, null);
      assert.equal(answer.error?.code, 1);
      assert.match(answer.error.message, reason);
    });
  }

  it('to read before rune_init', async () => {
    const ending = await runWithLibrary('rune_param -v v a; echo "status $?"', { input: bpcsInput() });
    assert.equal(ending.stdout.toString(), 'status 4\n');
    assert.match(ending.stderr, /call rune_init before/);
  });
});
