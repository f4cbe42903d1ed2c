import assert from 'node:assert/strict';
import type { Bench, Row } from '../row.js';
import { libraryRow, outputOf } from '../support/library-row.js';

const UNIT = '"\\\n\t';
const LENGTH = 1_048_576;

/** rune_ok_kv with 1 MB of text in which every character needs an escape. */
export function lib1mEscapeOut(bench: Bench): Promise<Row> {
  return libraryRow(bench, {
    name: 'lib-1m-escape-out',
    script: `rune_init; v=$'"\\\\\\n\\t'; while ((\${#v} < ${LENGTH})); do v+=$v; done; rune_ok_kv '' "text=$v"`,
    params: {},
    boundMs: 2_000,
    check: (answer) => assert.deepEqual(outputOf(answer), { text: UNIT.repeat(LENGTH / UNIT.length) }),
  });
}
