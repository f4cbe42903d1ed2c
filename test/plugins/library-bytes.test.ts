import assert from 'node:assert/strict';
import { runWithLibrary } from '../support/bash.js';
import { bpcsAnswer, bpcsInput } from './bpcs-document.js';

const LOCALES = ['C', 'C.UTF-8'];

/** Prints each NUL-terminated record of stdin as a JSON string, one a line. */
const QUOTE_RECORDS = `set -euo pipefail
  while IFS= LC_ALL=C read -r -d '' record; do rune_json_string quoted "$record"; printf '%s\\n' "$quoted"; done`;

/** Bytes 1 to 255 in sequences that repeat from run to run. */
function pseudoRandomBytes(length: number, seed: number): Buffer {
  let state = seed;
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = ((state >>> 16) % 255) + 1;
  }
  return bytes;
}

const records: Buffer[] = [
  Buffer.from(''),
  Buffer.from('plain text'),
  Buffer.from('"quoted" \\ back\\slash /'),
  Buffer.from('\b\f\n\r\t\u0001\u001f\u007f'),
  Buffer.from("$(id) `id` ${HOME} & | ; * ? [a-z] ~ ! # % '"),
  Buffer.from('é中\u{1f600}\ufffd\u2028'),
  ...Array.from({ length: 255 }, (_, i) => Buffer.from([0x61, i + 1, 0x62])),
  // Each way in which UTF-8 can be broken: stray tails, cut and overlong sequences, surrogates, beyond the last code point.
  ...[
    '80',
    'bfbf',
    'c3',
    'c328',
    'c080',
    'c1bf',
    'e0a0',
    'e09fbf',
    'e28228',
    'eda080',
    'edbfbf',
    'f09f98',
    'f08fbfbf',
  ]
    .concat([
      'f4908080',
      'f5808080',
      'ff',
      'fe',
      'e4b8ade4b8',
      'f09f9880f09f',
      'c3a980',
      'f8888080',
      'efbfbd80',
    ])
    .map((hex) => Buffer.from(hex, 'hex')),
  ...Array.from({ length: 60 }, (_, i) => pseudoRandomBytes(1 + i * 3, i + 1)),
  // Around the sizes of the pieces that long text is worked on in.
  ...[1023, 1024, 1025, 2047, 2049].flatMap((size) => [
    Buffer.concat([Buffer.from('x'.repeat(size - 1)), Buffer.from('\u{1f600}é')]),
    Buffer.concat([Buffer.from('\\'.repeat(size)), Buffer.from('"')]),
    Buffer.concat([Buffer.from('x'.repeat(size)), Buffer.from([0xf0, 0x9f])]),
  ]),
];

describe('the shell library and odd bytes', () => {
  for (const locale of LOCALES) {
    it(`writes any bytes as a JSON string, broken UTF-8 as U+FFFD like Node (${locale})`, async () => {
      const input = Buffer.concat(records.flatMap((record) => [record, Buffer.from([0])]));
      const ending = await runWithLibrary(QUOTE_RECORDS, { input, environment: { LC_ALL: locale } });
      const lines = ending.stdout.toString().split('\n').slice(0, -1);
      assert.equal(ending.stderr, '');
      assert.deepEqual(
        lines.map((line) => JSON.parse(line) as unknown),
        records.map((record) => record.toString()),
      );
    });

    it(`reads broken UTF-8 as U+FFFD like Node (${locale})`, async () => {
      const texts = records.filter((record) => !/[\u0000-\u001f"\\]/.test(record.toString('latin1')));
      assert.ok(texts.length > 150);
      const members = texts.map((text, i) =>
        Buffer.concat([Buffer.from(`${i === 0 ? '' : ','}"k${i}":"`), text, Buffer.from('"')]),
      );
      const input = Buffer.concat([
        Buffer.from('{"payload":{"input_parameters":{'),
        ...members,
        Buffer.from('}}}'),
      ]);
      const script = `set -eu; rune_init; for ((i = 0; i < ${texts.length}; i++)); do rune_param -v v "k$i"; printf '%s\\0' "$v"; done; trap - EXIT`;
      const ending = await runWithLibrary(script, { input, environment: { LC_ALL: locale } });
      assert.deepEqual(
        ending.stdout.toString().split('\0').slice(0, -1),
        texts.map((text) => text.toString()),
      );
    });
  }

  const megabyte: Readonly<Record<string, string>> = {
    quotes: '"'.repeat(1_000_000),
    backslashes: '\\'.repeat(1_000_000),
    'line ends': '\n'.repeat(1_000_000),
    'control characters': '\u0001'.repeat(1_000_000),
    'a mixture': '"\\\n\t\u0001\u001b/é\u{1f600}'.repeat(71_429),
  };
  for (const [what, text] of Object.entries(megabyte)) {
    it(`carries one megabyte of ${what} in and out`, async function () {
      this.timeout(120_000);
      const script = 'set -eu; rune_init; rune_param -v text text; rune_ok_kv "" "text=$text"';
      const ending = await runWithLibrary(script, { input: bpcsInput({ text }) });
      assert.ok(bpcsAnswer(ending).payload?.output_data['text'] === text);
    });
  }

  it('reads escapes that lie across the pieces long text is worked on in', async () => {
    const params = Object.fromEntries(
      [1019, 1020, 1021, 1022, 1023, 1024].flatMap((size) => [
        [`n${size}`, `${'x'.repeat(size)}\n\\"`],
        [`u${size}`, `${'x'.repeat(size)}\u{1f600}\u0001${'\\'.repeat(5)}`],
      ]),
    );
    // Surrogate pairs as escapes, which JSON.stringify does not write.
    const input = bpcsInput(params).replaceAll('\u{1f600}', '\\ud83d\\ude00');
    const script =
      'rune_init; rune_all_params -v all; rune_json_keys names "$all"; for n in "${names[@]}"; do rune_param -v v "$n"; rune_out "$n=$v"; done; rune_finish ""';
    assert.deepEqual(bpcsAnswer(await runWithLibrary(script, { input })).payload?.output_data, params);
  });
});

describe('the shell library leaves the plugin', () => {
  const script = `show() {
      printf '%s|' "$-" "$IFS" "\${LC_ALL-none}" "\${LANG-none}"
      shopt -p; set +o; trap -p ERR TERM INT; a=é; printf '%s\\n' "\${#a}"
    }
    trap 'echo term' TERM
    show >"$before"; rune_init; trap - EXIT
    rune_read_only; rune_param -v x text; rune_param_json -v y list; rune_param_list z list
    rune_json_string q "$x"; rune_json_object o "a=$x" b:=1; rune_json_array l "=$x"; rune_json_get g "$o" a
    rune_json_keys k "$o"; rune_log info "$x" 2>/dev/null; rune_progress 1 "$x" 2>/dev/null; rune_out "a=$x"; rune_err 3 x
    show >"$after"; cmp "$before" "$after" && printf 'the same'`;

  for (const options of [
    'set +e',
    'set -euo pipefail',
    'set -f; IFS=,',
    'shopt -s nullglob extglob; set -u',
  ]) {
    it(`its options, IFS, locale and traps (${options})`, async () => {
      const folder = 'd=$(mktemp -d); before=$d/before; after=$d/after; trap \'rm -rf "$d"\' EXIT';
      for (const environment of [{ LC_ALL: 'C.UTF-8' }, { LC_ALL: '', LANG: 'C.UTF-8' }]) {
        const ending = await runWithLibrary(`${folder}; ${options}; ${script}; rm -rf "$d"`, {
          input: bpcsInput({ text: 'é"\n', list: ['é', 1] }),
          environment,
        });
        assert.equal(ending.stdout.toString(), 'the same', ending.stderr);
      }
    });
  }

  it('free to have read-only variables with short names', async () => {
    const script =
      'readonly i=1 k=1 s=1 c=1 n=1 x=1 key=1 value=1 text=1; rune_init; rune_ok_kv "" "a=$(rune_param a)"';
    const ending = await runWithLibrary(script, { input: bpcsInput({ a: 'é"' }) });
    assert.equal(ending.stderr, '');
    assert.deepEqual(bpcsAnswer(ending).payload?.output_data, { a: 'é"' });
  });
});
