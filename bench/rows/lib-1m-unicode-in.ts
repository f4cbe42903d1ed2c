import assert from 'node:assert/strict';
import type { Bench, Row } from '../row.js';
import { libraryRow, outputOf } from '../support/library-row.js';

/** One escape, then two that make one character. */
const UNIT = '中\u{1f600}';
const ESCAPED = String.raw`\u4e2d\ud83d\ude00`;
const COUNT = Math.floor(1_000_000 / ESCAPED.length);

/** rune_init and rune_param on one parameter that is 1 MB of nothing but \u escapes, two thirds of them surrogates. */
export function lib1mUnicodeIn(bench: Bench): Promise<Row> {
  return libraryRow(bench, {
    name: 'lib-1m-unicode-in',
    script: `rune_init; rune_param -v v text; rune_ok_kv '' "length:=\${#v}" "start=\${v:0:2}" "end=\${v:\${#v}-2}"`,
    params: { text: UNIT.repeat(COUNT) },
    escaped: [UNIT, ESCAPED],
    boundMs: 2_000,
    check: (answer) => assert.deepEqual(outputOf(answer), { length: 2 * COUNT, start: UNIT, end: UNIT }),
  });
}
