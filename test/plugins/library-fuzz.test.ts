import assert from 'node:assert/strict';
import { runWithLibrary } from '../support/bash.js';
import { randomDocuments } from './random-documents.js';

const DOCUMENTS = 10_000;
const SEED = 20_261_122;

/**
 * Parses each document of stdin (nine digits of length, then so many bytes). Prints `bad`, or `good` and for each member its key,
 * JSON and text, each ended by NUL, and a line `end`. It drives the parser below the public functions, which would start a
 * parse for each member.
 */
const PARSE_ALL = `
LC_ALL=C
count=-N
if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then count=-n; fi
parse_one() {
  local __rune_s __rune_doc key
  local -A __rune_raw __rune_kind
  local -a __rune_order
  if ! __rune_members "$1"; then
    printf 'bad\\0'
    return
  fi
  printf 'good\\0'
  for key in "\${!__rune_raw[@]}"; do
    printf '%s\\0' "\${key#x:}"
    __rune_fetch "$key" j || __rune_s=null
    printf '%s\\0' "$__rune_s"
    __rune_fetch "$key" t || __rune_s=null
    printf '%s\\0' "$__rune_s"
  done
  printf 'end\\0'
}
while IFS= read -r -d '' "$count" 9 size; do
  IFS= read -r -d '' "$count" "$((10#$size))" text
  parse_one "$text"
done`;

interface Parsed {
  readonly json: string;
  readonly text: string;
}

/** What a shell can hold of a JavaScript string. */
function shellText(text: string): string {
  return Buffer.from(text).toString().replaceAll('\0', '\ufffd');
}

/** The members of the outermost object or list as the library should give them, or undefined for what is not JSON. */
function expected(document: string): Map<string, string> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(document);
  } catch {
    return undefined;
  }
  if (value === null || typeof value !== 'object') return new Map();
  return new Map(Object.entries(value).map(([key, member]) => [shellText(key), JSON.stringify(member)]));
}

describe("the shell library's parser", () => {
  it(`agrees with Node's on ${DOCUMENTS} documents, of which a third are damaged`, async function () {
    this.timeout(300_000);
    const documents = randomDocuments(DOCUMENTS, SEED);
    const input = Buffer.concat(
      documents.flatMap((document) => {
        const bytes = Buffer.from(document);
        return [Buffer.from(String(bytes.length).padStart(9, '0')), bytes];
      }),
    );
    const ending = await runWithLibrary(PARSE_ALL, { input });
    assert.equal(ending.stderr, '');
    const fields = ending.stdout.toString().split('\0');
    let at = 0;
    let refused = 0;
    for (const document of documents) {
      const wanted = expected(document);
      if (fields[at++] === 'bad') {
        assert.equal(wanted, undefined, `refused: ${document}`);
        refused += 1;
        continue;
      }
      assert.ok(wanted !== undefined, `accepted: ${document}`);
      const members = new Map<string, Parsed>();
      for (; fields[at] !== 'end'; at += 3) {
        assert.ok(at < fields.length, `no end: ${document}`);
        members.set(fields[at] ?? '', { json: fields[at + 1] ?? '', text: fields[at + 2] ?? '' });
      }
      at += 1;
      assert.deepEqual(new Set(members.keys()), new Set(wanted.keys()), document);
      for (const [key, json] of wanted) {
        const member = members.get(key);
        assert.equal(JSON.stringify(JSON.parse(member?.json ?? '')), json, document);
        const value = JSON.parse(json) as unknown;
        if (typeof value === 'string') assert.equal(member?.text, shellText(value), document);
        else assert.equal(member?.text, member?.json, document);
      }
    }
    assert.equal(fields.length, at + 1);
    assert.ok(refused > DOCUMENTS / 10 && refused < DOCUMENTS / 2, `${refused} refused`);
  });
});
