import assert from 'node:assert/strict';
import { runWithLibrary } from '../support/bash.js';
import { bpcsInput } from './bpcs-document.js';
import { randomDocuments } from './random-documents.js';

const DOCUMENTS = 4_000;
const MEDIATED = 1_000;
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
__rune_more
while IFS= read -r -d '' "$count" 9 size; do
  IFS= read -r -d '' "$count" "$((10#$size))" text
  parse_one "$text"
done`;

/**
 * Reads each document of stdin as rune_init does, and prints `bad`, or `good`, whether it was only skimmed, and for each
 * parameter what PARSE_ALL prints for a member.
 */
const READ_ALL = `
LC_ALL=C
count=-N
if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then count=-n; fi
read_one() {
  local __rune_s=$1 __rune_bad names key skimmed=skimmed
  __rune_raw=() __rune_kind=() __rune_section=() __rune_finds=0 __rune_shallow=()
  if ! __rune_read_input; then
    printf 'bad\\0'
    return
  fi
  if [[ \${__rune_section[p]-} != qp ]]; then skimmed=parsed; fi
  if [[ -n $__rune_short ]]; then skimmed=short; fi
  printf 'good\\0%s\\0' "$skimmed"
  __rune_whole p
  rune_json_keys names "$__rune_s"
  for key in \${names[@]+"\${names[@]}"}; do
    printf '%s\\0' "$key"
    __rune_fetch "\${__rune_section[p]}:$key" j || __rune_s=null
    printf '%s\\0' "$__rune_s"
    __rune_fetch "\${__rune_section[p]}:$key" t || __rune_s=null
    printf '%s\\0' "$__rune_s"
  done
  __rune_fetch "\${__rune_section[p]}:absent" t && printf 'found\\0'
  printf 'end\\0'
}
__rune_more
while IFS= read -r -d '' "$count" 9 size; do
  IFS= read -r -d '' "$count" "$((10#$size))" text
  read_one "$text"
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

/** The parameters of an input document, or undefined when it is not JSON. */
function paramsOf(document: string): Map<string, string> | undefined {
  if (expected(document) === undefined) return undefined;
  const { payload } = JSON.parse(document) as { payload: { input_parameters: unknown } };
  const params = payload.input_parameters;
  return params !== null && typeof params === 'object' && !Array.isArray(params)
    ? expected(JSON.stringify(params))
    : new Map();
}

/** Each document after nine digits of its length. */
function counted(documents: readonly string[]): Buffer {
  return Buffer.concat(
    documents.flatMap((document) => {
      const bytes = Buffer.from(document);
      return [Buffer.from(String(bytes.length).padStart(9, '0')), bytes];
    }),
  );
}

/** Reads what stands between NUL bytes. */
interface Fields {
  readonly next: () => string;
  readonly atEnd: () => boolean;
}

function fieldsOf(stdout: Buffer): Fields {
  const fields = stdout.toString().split('\0');
  let at = 0;
  return { next: () => fields[at++] ?? assert.fail('cut short'), atEnd: () => at === fields.length - 1 };
}

/** Reads the members up to `end` and compares them with what Node reads. */
function checkMembers(fields: Fields, wanted: ReadonlyMap<string, string>, document: string): void {
  const members = new Map<string, Parsed>();
  for (let key = fields.next(); key !== 'end'; key = fields.next())
    members.set(key, { json: fields.next(), text: fields.next() });
  assert.deepEqual(new Set(members.keys()), new Set(wanted.keys()), document);
  for (const [key, json] of wanted) {
    const member = members.get(key);
    assert.equal(JSON.stringify(JSON.parse(member?.json ?? '')), json, document);
    const value = JSON.parse(json) as unknown;
    if (typeof value === 'string') assert.equal(member?.text, shellText(value), document);
    else assert.equal(member?.text, member?.json, document);
  }
}

describe("the shell library's parser", () => {
  it(`agrees with Node's on ${DOCUMENTS} documents, of which a third are damaged`, async function () {
    this.timeout(300_000);
    const documents = randomDocuments(DOCUMENTS, SEED);
    const ending = await runWithLibrary(PARSE_ALL, { input: counted(documents) });
    assert.equal(ending.stderr, '');
    const fields = fieldsOf(ending.stdout);
    let refused = 0;
    for (const document of documents) {
      const wanted = expected(document);
      if (fields.next() === 'bad') {
        assert.equal(wanted, undefined, `refused: ${document}`);
        refused += 1;
      } else {
        assert.ok(wanted !== undefined, `accepted: ${document}`);
        checkMembers(fields, wanted, document);
      }
    }
    assert.ok(fields.atEnd());
    assert.ok(refused > DOCUMENTS / 10 && refused < DOCUMENTS / 2, `${refused} refused`);
  });

  it(`reads ${MEDIATED} documents of mediators like Node, most of them without a full parse`, async function () {
    this.timeout(300_000);
    const frame = bpcsInput({ PLACE: 1 });
    const documents = randomDocuments(MEDIATED, SEED + 1, 0.004).map((params) =>
      frame.replace('{"PLACE":1}', () => params),
    );
    const ending = await runWithLibrary(READ_ALL, { input: counted(documents) });
    assert.equal(ending.stderr, '');
    const fields = fieldsOf(ending.stdout);
    const counts = { bad: 0, short: 0, skimmed: 0, parsed: 0 };
    for (const document of documents) {
      const params = paramsOf(document);
      if (fields.next() === 'bad') {
        assert.equal(params, undefined, `refused: ${document}`);
        counts.bad += 1;
        continue;
      }
      assert.ok(params !== undefined, `accepted: ${document}`);
      counts[fields.next() as 'short' | 'skimmed' | 'parsed'] += 1;
      checkMembers(fields, params, document);
    }
    assert.ok(fields.atEnd());
    const enough = MEDIATED / 40;
    assert.ok(
      Object.values(counts).every((count) => count > enough),
      JSON.stringify(counts),
    );
  });
});
