import assert from 'node:assert/strict';
import { contentFileName, isContentFileName } from '../../services/cli/run/content-file-name.js';
import { type Content, decodeBase64, mapContent } from '../../services/cli/run/map-content.js';
import { formatSize } from '../../services/cli/render/format-size.js';

const BYTES = { type: 'string', contentEncoding: 'base64' };

/** The strings of base64 in a value, and the value without them. */
function contentOf(schema: unknown, value: unknown): { found: Content[]; rest: unknown } {
  const found: Content[] = [];
  const rest = mapContent(schema, value, (content) => {
    found.push(content);
    return '*';
  });
  return { found, rest };
}

describe('the strings of a result that stand for bytes', () => {
  it('are those that the output schema says so of, wherever it does', () => {
    const schema = {
      properties: {
        archive: { ...BYTES, contentMediaType: 'application/gzip' },
        text: { type: 'string', contentEncoding: 'quoted-printable' },
        parts: { items: { properties: { body: BYTES } } },
        either: { anyOf: [{ type: 'null' }, BYTES] },
        all: { allOf: [{ properties: { body: BYTES } }, { properties: { body: BYTES } }] },
      },
    };
    const value = {
      archive: 'YQ==',
      text: 'YQ==',
      parts: [{ body: 'Yg==' }, { body: 7, other: 'YQ==' }],
      either: 'Yw==',
      all: { body: 'ZA==' },
      archives: 'YQ==',
    };
    const { found, rest } = contentOf(schema, value);
    assert.deepEqual(
      found.map(({ path, text, mediaType }) => [path.join('.'), text, mediaType]),
      [
        ['archive', 'YQ==', 'application/gzip'],
        ['parts.0.body', 'Yg==', ''],
        ['either', 'Yw==', ''],
        ['all.body', 'ZA==', ''],
      ],
    );
    assert.deepEqual(rest, {
      ...value,
      archive: '*',
      parts: [{ body: '*' }, { body: 7, other: 'YQ==' }],
      either: '*',
      all: { body: '*' },
    });
  });

  it('are none where the schema is unknown or no schema, or the result is not what it says', () => {
    const value = { archive: 'YQ==', constructor: 'YQ==' };
    for (const schema of [
      undefined,
      null,
      true,
      'x',
      [],
      {},
      { properties: [] },
      { properties: { a: BYTES } },
    ]) {
      assert.deepEqual(contentOf(schema, value), { found: [], rest: value });
    }
    const schema = { properties: { archive: BYTES } };
    for (const other of [undefined, null, 'YQ==', 1, [], { archive: { archive: 'x' } }, { archive: ['x'] }]) {
      assert.deepEqual(contentOf(schema, other), { found: [], rest: other });
    }
  });

  it('leave every key of a hostile result what it is', () => {
    const value: unknown = JSON.parse('{"__proto__": {"archive": "x"}, "archive": "YQ=="}');
    const { rest } = contentOf({ properties: { archive: BYTES } }, value);
    assert.equal(JSON.stringify(rest), '{"__proto__":{"archive":"x"},"archive":"*"}');
  });

  it('are decoded only if they are what an encoder writes', () => {
    assert.deepEqual(decodeBase64('/+8='), Buffer.from([0xff, 0xef]));
    assert.deepEqual(decodeBase64(''), Buffer.alloc(0));
    for (const text of ['_-8=', '/+8', ' /+8=', '/+8=\n', '/+8=/+8=', '/+9=', 'x', '=', '\u0000', 'ü']) {
      assert.equal(decodeBase64(text), undefined, text);
    }
  });

  for (const [path, mediaType, name] of [
    [['archive'], 'application/gzip', 'result.archive.gz'],
    [['parts', 3, 'body'], 'Text/Plain; charset=utf-8', 'result.parts.3.body.txt'],
    [['page'], 'text/html', 'result.page.bin'],
    [['program'], 'constructor', 'result.program.bin'],
    [['../../etc/passwd'], '', 'result.______etc_passwd.bin'],
    [['json'], 'application/json', 'result.json.json'],
    [['é\n'], '', 'result.__.bin'],
    [[''], '', 'result..bin'],
    [
      Array.from({ length: 9 }, () => 'x'.repeat(99)),
      '',
      `result.${`${'x'.repeat(64)}.`.repeat(9).slice(0, 200)}.bin`,
    ],
  ] as const) {
    it(`get the file ${name.slice(0, 40)}`, () => {
      assert.equal(contentFileName({ path, mediaType, text: '' }), name);
      assert.equal(isContentFileName(name), true);
    });
  }

  it('have names that no other file has', () => {
    for (const name of [
      'result.json',
      'stderr.log',
      'outcome.json',
      'result.json.new',
      'result.a.sh',
      'notes.txt',
    ]) {
      assert.equal(isContentFileName(name), false, name);
    }
  });

  it('are shown by their size', () => {
    assert.deepEqual([0, 1023, 1024, 12_595, 1024 ** 2, 5 * 1024 ** 4].map(formatSize), [
      '0 B',
      '1023 B',
      '1.0 KiB',
      '12.3 KiB',
      '1.0 MiB',
      '5120.0 GiB',
    ]);
  });
});
