import assert from 'node:assert/strict';
import { check, refusal, object } from './schema-checks.js';

describe('schema', () => {
  describe('refuses a schema and says where', () => {
    const nested = (levels: number): object =>
      levels === 1 ? { type: 'object' } : object({ a: nested(levels - 1) });
    const many = (count: number): object =>
      object(Object.fromEntries(Array.from({ length: count }, (_, index) => [`p${index}`, {}])));
    const doubling = (steps: number): object =>
      object(
        { a: { $ref: '#/$defs/d0' } },
        {
          $defs: Object.fromEntries(
            Array.from({ length: steps + 1 }, (_, index) => [
              `d${index}`,
              index === steps
                ? {}
                : { allOf: [{ $ref: `#/$defs/d${index + 1}` }, { $ref: `#/$defs/d${index + 1}` }] },
            ]),
          ),
        },
      );
    const recursive =
      'refers back to itself, and recursive schemas are not supported: leave the inner part as "type": "object"';
    const outside = 'must be "#/…" and point at a schema in the same text; nothing is ever fetched';

    const cases: [title: string, schema: string | object, expected: string[]][] = [
      ['text that is not JSON', '{"type": object}', ['# NOT_JSON is not JSON']],
      ['a list', '[]', ['# TYPE must be a JSON object']],
      [
        'more than 64 KiB',
        JSON.stringify({ type: 'object', description: 'x'.repeat(65_536) }),
        ['# SIZE is larger than 65536 bytes'],
      ],
      [
        'more than 512 alternatives',
        JSON.stringify({
          type: 'object',
          properties: { a: { enum: Array.from({ length: 513 }, (_, n) => n) } },
        }),
        ['# ALTERNATIVES has 513 alternatives (enum, anyOf, oneOf); at most 512 are allowed'],
      ],
      ['more than 200 properties', many(201), ['# PROPERTIES has 201 properties; at most 200 are allowed']],
      [
        'more than 16 levels',
        nested(17),
        [`#${'/properties/a'.repeat(16)} DEPTH is nested deeper than 16 schemas`],
      ],
      [
        'data in it that is nested without end',
        `{"type":"object","default":${'['.repeat(20_000)}${']'.repeat(20_000)}}`,
        [`#/default${'/0'.repeat(63)} DEPTH is nested deeper than 64 objects and arrays`],
      ],
      [
        'references that multiply',
        doubling(14),
        ['# SIZE stands for more than 10000 schemas once its references are followed'],
      ],
      [
        'a misspelt keyword',
        object({ a: { typ: 'string' } }),
        ['#/properties/a/typ UNKNOWN is not a keyword of JSON Schema 2020-12; did you mean "type"?'],
      ],
      [
        'a keyword of another draft',
        object({}, { definitions: {} }),
        ['#/definitions NOT_SUPPORTED is not supported: use "$defs" and "$ref": "#/$defs/…"'],
      ],
      [
        'another dialect',
        { $schema: 'http://json-schema.org/draft-07/schema#', type: 'object' },
        ['#/$schema CONST must be "https://json-schema.org/draft/2020-12/schema"'],
      ],
      [
        'an asynchronous schema',
        { $async: true, type: 'object' },
        ['#/$async NOT_SUPPORTED is not supported: use "$defs" and "$ref": "#/$defs/…"'],
      ],
      [
        'a remote reference',
        object({ a: { $ref: 'https://example.com/a.json' } }),
        [`#/properties/a/$ref REFERENCE ${outside}`],
      ],
      [
        'a reference to a file',
        object({ a: { $ref: 'file:///etc/passwd' } }),
        [`#/properties/a/$ref REFERENCE ${outside}`],
      ],
      [
        'a reference to nothing',
        object({ a: { $ref: '#/$defs/b' } }),
        [`#/properties/a/$ref REFERENCE ${outside}`],
      ],
      [
        'a reference to no schema',
        object({ a: { $ref: '#/properties' } }),
        [`#/properties/a/$ref REFERENCE ${outside}`],
      ],
      [
        'a reference through __proto__',
        object({ a: { $ref: '#/__proto__' } }),
        [`#/properties/a/$ref REFERENCE ${outside}`],
      ],
      ['recursion', object({ a: { $ref: '#' } }), [`#/properties/a/$ref RECURSION ${recursive}`]],
      [
        'recursion by way of others',
        object(
          { a: { $ref: '#/$defs/x' } },
          { $defs: { x: { $ref: '#/$defs/y' }, y: { $ref: '#/$defs/x' } } },
        ),
        [`#/properties/a/$ref/$ref/$ref RECURSION ${recursive}`],
      ],
      [
        'uniqueItems without maxItems',
        object({ a: { type: 'array', uniqueItems: true } }),
        ['#/properties/a/uniqueItems UNIQUE_ITEMS needs maxItems of at most 1000 beside it'],
      ],
      [
        'look-around in a pattern',
        object({ a: { type: 'string', pattern: '^(?=a)' } }),
        [
          '#/properties/a/pattern PATTERN cannot be matched in linear time: invalid or unsupported Perl syntax: `(?=`',
        ],
      ],
      [
        'a back-reference in a property pattern',
        object({}, { patternProperties: { '(a)\\1': {} } }),
        [
          '#/patternProperties/(a)\\1 PATTERN cannot be matched in linear time: invalid escape sequence: `\\1`',
        ],
      ],
      [
        'a pattern that unrolls without measure',
        object({ a: { type: 'string', pattern: '^[a-z]{1,900}[0-9]{1,900}$' } }),
        [
          '#/properties/a/pattern PATTERN cannot be matched in linear time: its repetitions make it too large',
        ],
      ],
      [
        'a format that is slow or unknown',
        object({ a: { type: 'string', format: 'url' } }),
        [
          '#/properties/a/format ENUM must be one of date, date-time, duration, email, hostname, ipv4, ipv6, json-pointer, time, uri, uri-reference, uuid',
        ],
      ],
      [
        'a keyword of the wrong type',
        object({ a: { type: 'string', minLength: '1' } }),
        ['#/properties/a/minLength TYPE must be an integer'],
      ],
      [
        'a rule that can never apply',
        object({ a: { minLength: 1 } }),
        ['#/properties/a STRICT is refused: missing type "string" for keyword "minLength"'],
      ],
      [
        'a required name that is not described',
        { type: 'object', required: ['a'] },
        ['# STRICT is refused: required property "a" is not defined'],
      ],
      [
        'a subschema that is none',
        object({ a: 1 }),
        ['#/properties/a TYPE must be a schema: an object, true or false'],
      ],
    ];
    for (const [title, schema, expected] of cases) {
      it(title, () => assert.deepEqual(refusal(schema), expected));
    }

    it('all its faults at once', () => {
      assert.equal(
        refusal(object({ a: { typ: 1 }, b: { $ref: 'x:' }, c: { type: 'string', pattern: '(' } })).length,
        3,
      );
    });

    it('and accepts what is at its limits', () => {
      assert.deepEqual(refusal(many(200)), []);
      assert.deepEqual(refusal(nested(16)), []);
      assert.deepEqual(refusal(doubling(10)), []);
    });
  });

  it('takes a name for a name where a keyword would be refused', () => {
    const schema = object({
      $async: { type: 'string' },
      $ref: { type: 'integer' },
      typ: { const: { typ: 1 } },
    });
    assert.deepEqual(check(schema, { $async: 'x', $ref: 1, typ: { typ: 1 } }), []);
  });
});
