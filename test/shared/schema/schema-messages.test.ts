import assert from 'node:assert/strict';
import { check, object } from './schema-checks.js';

describe('schema', () => {
  describe('says what would be right', () => {
    const cases: [title: string, schema: object, value: unknown, expected: string[]][] = [
      ['type', object({ a: { type: 'integer' } }), { a: '1' }, ['params.a TYPE must be an integer']],
      [
        'type, no coercion',
        object({ a: { type: 'boolean' } }),
        { a: 'true' },
        ['params.a TYPE must be a boolean'],
      ],
      [
        'nullable',
        object({ a: { type: ['string', 'null'] } }),
        { a: 1 },
        ['params.a TYPE must be a string or null'],
      ],
      ['the root itself', object({}), [], ['params TYPE must be an object']],
      ['required', object({ a: {} }, { required: ['a'] }), {}, ['params.a REQUIRED is required']],
      [
        'an inherited name is not a given one',
        object({ toString: {} }, { required: ['toString'] }),
        {},
        ['params.toString REQUIRED is required'],
      ],
      [
        'dependentRequired',
        object({ a: {}, b: {} }, { dependentRequired: { a: ['b'] } }),
        { a: 1 },
        ['params.b REQUIRED is required together with "a"'],
      ],
      [
        'a misspelt name',
        object({ lines: {}, unit: {} }, { additionalProperties: false }),
        { lnies: 1 },
        ['params.lnies UNKNOWN is not known; did you mean "lines"?'],
      ],
      [
        'a name that is like no other',
        object({ lines: {} }, { additionalProperties: false }),
        { colour: 1 },
        ['params.colour UNKNOWN is not known'],
      ],
      [
        'unevaluatedProperties',
        object({ lines: {} }, { unevaluatedProperties: false }),
        { line: 1 },
        ['params.line UNKNOWN is not known; did you mean "lines"?'],
      ],
      [
        'enum',
        object({ a: { enum: ['x', 2, null] } }),
        { a: 'y' },
        ['params.a ENUM must be one of "x", 2, null'],
      ],
      ['const', object({ a: { const: 'x' } }), { a: 'y' }, ['params.a CONST must be "x"']],
      [
        'pattern',
        object({ a: { type: 'string', pattern: '^[a-z]+$' } }),
        { a: 'A' },
        ['params.a PATTERN must match the pattern ^[a-z]+$'],
      ],
      [
        'format',
        object({ a: { type: 'string', format: 'ipv4' } }),
        { a: 'x' },
        ['params.a FORMAT must be a valid ipv4'],
      ],
      [
        'minimum',
        object({ a: { type: 'integer', minimum: 1 } }),
        { a: 0 },
        ['params.a MINIMUM must be 1 or more'],
      ],
      [
        'maximum',
        object({ a: { type: 'number', maximum: 9.5 } }),
        { a: 10 },
        ['params.a MAXIMUM must be 9.5 or less'],
      ],
      [
        'exclusiveMinimum',
        object({ a: { type: 'number', exclusiveMinimum: 0 } }),
        { a: 0 },
        ['params.a MINIMUM must be more than 0'],
      ],
      [
        'exclusiveMaximum',
        object({ a: { type: 'number', exclusiveMaximum: 1 } }),
        { a: 1 },
        ['params.a MAXIMUM must be less than 1'],
      ],
      [
        'multipleOf',
        object({ a: { type: 'integer', multipleOf: 512 } }),
        { a: 100 },
        ['params.a MULTIPLE_OF must be a multiple of 512'],
      ],
      [
        'minLength',
        object({ a: { type: 'string', minLength: 1 } }),
        { a: '' },
        ['params.a MIN_LENGTH must have at least 1 character'],
      ],
      [
        'maxLength',
        object({ a: { type: 'string', maxLength: 2 } }),
        { a: 'abc' },
        ['params.a MAX_LENGTH must have at most 2 characters'],
      ],
      [
        'minItems and maxItems',
        object({ a: { type: 'array', minItems: 1 }, b: { type: 'array', maxItems: 1 } }),
        { a: [], b: [1, 2] },
        ['params.a MIN_ITEMS must have at least 1 item', 'params.b MAX_ITEMS must have at most 1 item'],
      ],
      [
        'uniqueItems',
        object({ a: { type: 'array', uniqueItems: true, maxItems: 9 } }),
        { a: ['x', 'y', 'x'] },
        ['params.a UNIQUE_ITEMS must not hold the same item twice (0 and 2)'],
      ],
      [
        'contains',
        object({ a: { type: 'array', contains: { const: 1 }, minContains: 2 } }),
        { a: [1] },
        ['params.a CONTAINS must hold at least 2 items that fit'],
      ],
      [
        'minProperties and maxProperties',
        object({ a: { type: 'object', minProperties: 1 }, b: { type: 'object', maxProperties: 1 } }),
        { a: {}, b: { x: 1, y: 2 } },
        [
          'params.a MIN_PROPERTIES must have at least 1 property',
          'params.b MAX_PROPERTIES must have at most 1 property',
        ],
      ],
      [
        'propertyNames',
        object({ a: { type: 'object', propertyNames: { type: 'string', maxLength: 2 } } }),
        { a: { abc: 1 } },
        ['params.a.abc NAME is not an allowed name: it must have at most 2 characters'],
      ],
      [
        'anyOf with what each form says',
        object({ a: { anyOf: [{ type: 'string' }, { type: 'integer' }] } }),
        { a: true },
        [
          'params.a TYPE must be a string',
          'params.a TYPE must be an integer',
          'params.a ANY_OF must fit at least one of the allowed forms',
        ],
      ],
      [
        'oneOf',
        object({ a: { oneOf: [{ type: 'number' }, { type: 'integer' }] } }),
        { a: 1 },
        ['params.a ONE_OF must fit exactly one of the allowed forms, and fits several'],
      ],
      [
        'not',
        object({ a: { not: { const: 1 } } }),
        { a: 1 },
        ['params.a NOT has a form that is not allowed'],
      ],
      [
        'if and then, without an echo',
        object(
          { a: {}, b: { type: 'string' } },
          { if: { required: ['a'], properties: { a: {} } }, then: { properties: { b: { const: 'x' } } } },
        ),
        { a: 1, b: 'y' },
        ['params.b CONST must be "x"'],
      ],
      ['false', object({ a: false }), { a: 1 }, ['params.a FALSE_SCHEMA is not allowed here']],
      [
        'places in lists, and names that are no words',
        object({ a: { type: 'array', items: { type: 'object', additionalProperties: { type: 'string' } } } }),
        { a: [{}, { 'x y': 1 }] },
        ['params.a[1]["x y"] TYPE must be a string'],
      ],
    ];
    for (const [title, schema, value, expected] of cases) {
      it(title, () => assert.deepEqual(check(schema, value), expected));
    }

    it('escapes and cuts a name that somebody else chose', () => {
      const [escape] = check(object({}, { additionalProperties: false }), { '\u001b[31m\n': 1 });
      assert.equal(escape, 'params["\\u001b[31m\\n"] UNKNOWN is not known');
      const [long] = check(object({}, { additionalProperties: false }), { ['k'.repeat(1_000_000)]: 1 });
      assert.equal(long, `params["${'k'.repeat(64)}…"] UNKNOWN is not known`);
    });

    it('lists at most 20 faults', () => {
      const schema = object({ a: { type: 'array', items: { type: 'string' } } });
      assert.equal(check(schema, { a: Array.from({ length: 500 }, () => 1) }).length, 20);
    });

    it('names the first fault only of a value with more than 2,000 parts', () => {
      const schema = object({ a: { type: 'array', items: { type: 'string' } } });
      assert.deepEqual(check(schema, { a: Array.from({ length: 500_000 }, () => 1) }), [
        'params.a[0] TYPE must be a string',
      ]);
      assert.deepEqual(check(schema, { a: Array.from({ length: 500_000 }, () => 'x') }), []);
    });
  });
});
