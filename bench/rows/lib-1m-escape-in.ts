import assert from 'node:assert/strict';
import type { Bench, Row } from '../row.js';
import { libraryRow, outputOf } from '../support/library-row.js';

/** Nothing but characters that JSON writes with a backslash. */
const UNIT = '"\\\n\t';
const TEXT = UNIT.repeat(1_000_000 / UNIT.length / 2);

/** rune_init and rune_param on one parameter that is 1 MB of escapes. */
export function lib1mEscapeIn(bench: Bench): Promise<Row> {
  return libraryRow(bench, {
    name: 'lib-1m-escape-in',
    script: `rune_init; rune_param -v v text; rune_ok_kv '' "length:=\${#v}" "start=\${v:0:4}"`,
    params: { text: TEXT },
    boundMs: 2_000,
    check: (answer) => assert.deepEqual(outputOf(answer), { length: TEXT.length, start: UNIT }),
  });
}
