import assert from 'node:assert/strict';
import type { Bench, Row } from '../row.js';
import { libraryRow, outputOf } from '../support/library-row.js';

const LINE = 'Nov 22 03:00:07 web01 dockerd[812]: level=info msg="container exited" name="café"\n';
const TEXT = LINE.repeat(Math.floor(10_000 / LINE.length));

/** rune_init and ten rune_param on 100 KB of parameters that look like a log. */
export function lib100kParams(bench: Bench): Promise<Row> {
  const names = Array.from({ length: 10 }, (_, index) => `p${index}`);
  return libraryRow(bench, {
    name: 'lib-100k-params',
    script: `rune_init; n=0; ${names.map((name) => `rune_param -v v ${name}; n=$((n + \${#v}))`).join('; ')}; rune_ok_kv '' "length:=$n"`,
    params: Object.fromEntries(names.map((name) => [name, TEXT])),
    boundMs: 100,
    check: (answer) => assert.deepEqual(outputOf(answer), { length: 10 * TEXT.length }),
  });
}
