import assert from 'node:assert/strict';
import type { Bench, Row } from '../row.js';
import { libraryRow, outputOf } from '../support/library-row.js';

const COUNT = 7_800;

/** rune_init and ten rune_param, from the first to the last, on 100 KB that are thousands of short parameters. */
export function lib100kTinyParams(bench: Bench): Promise<Row> {
  const names = Array.from({ length: 10 }, (_, index) => `p${Math.round((index * (COUNT - 1)) / 9)}`);
  return libraryRow(bench, {
    name: 'lib-100k-tiny-params',
    script: `rune_init; n=0; ${names.map((name) => `rune_param -v v ${name}; n=$((n + \${#v}))`).join('; ')}; rune_ok_kv '' "length:=$n"`,
    params: Object.fromEntries(Array.from({ length: COUNT }, (_, index) => [`p${index}`, 'on'])),
    boundMs: 100,
    check: (answer) => assert.deepEqual(outputOf(answer), { length: 20 }),
  });
}
