import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { RuneError } from '../../../services/shared/errors.js';
import { createSchemaCompiler } from '../../../services/shared/schema/schema.js';

const compiler = createSchemaCompiler();

/** What validating a value against a schema reports, one `field REASON description` each. */
function check(schema: object, value: unknown): string[] {
  return compiler
    .compile(JSON.stringify(schema), 'params')
    .validate(value)
    .map(({ field, reason, description }) => `${field} ${reason} ${description}`);
}

/** Why a schema text is refused, one `pointer REASON description` each. */
function refusal(schemaJson: string | object): string[] {
  try {
    compiler.compile(typeof schemaJson === 'string' ? schemaJson : JSON.stringify(schemaJson), 'params');
  } catch (thrown) {
    assert(thrown instanceof RuneError);
    assert.equal(thrown.name, 'CONFIGURATION_INVALID');
    return (thrown.facts.validationErrors ?? []).map(
      (one) => `${one.field} ${one.reason} ${one.description}`,
    );
  }
  return [];
}

const object = (properties: object, more: object = {}): object => ({ type: 'object', properties, ...more });

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

  describe('fills in defaults', () => {
    it('and leaves what was given', () => {
      const value = { b: 2 };
      assert.deepEqual(
        check(object({ a: { type: 'integer', default: 1 }, b: { type: 'integer', default: 9 } }), value),
        [],
      );
      assert.deepEqual(value, { b: 2, a: 1 });
    });
  });

  describe('keeps values marked writeOnly to itself', () => {
    const canary = 'CANARY-7f3a';
    const secret = object(
      {
        login: object(
          { password: { type: 'string', maxLength: 3 } },
          { writeOnly: true, additionalProperties: false, required: ['password'] },
        ),
        tokens: { type: 'array', items: { $ref: '#/$defs/token' } },
        named: {
          type: 'object',
          additionalProperties: { type: 'object', writeOnly: true, maxProperties: 0 },
        },
        choice: { anyOf: [{ type: 'string', writeOnly: true, maxLength: 2 }, { type: 'integer' }] },
      },
      {
        $defs: {
          token: { type: 'object', writeOnly: true, propertyNames: { type: 'string', pattern: '^t$' } },
        },
      },
    );
    const cases: [title: string, value: object, expected: string[]][] = [
      [
        'an unknown name',
        { login: { password: 'x', [canary]: 1 } },
        ['params.login UNKNOWN holds a name that is not known'],
      ],
      ['a missing name', { login: {} }, ['params.login REQUIRED must hold "password"']],
      [
        'a value inside',
        { login: { password: canary } },
        ['params.login MAX_LENGTH must have at most 3 characters'],
      ],
      [
        'behind a reference',
        { tokens: [{}, { [canary]: 1 }] },
        ['params.tokens[1] NAME holds a name that is not allowed'],
      ],
      [
        'under any name',
        { named: { x: { [canary]: 1 } } },
        ['params.named.x MAX_PROPERTIES must have at most 0 properties'],
      ],
      [
        'in one of several forms',
        { choice: canary },
        [
          'params.choice MAX_LENGTH must have at most 2 characters',
          'params.choice TYPE must be an integer',
          'params.choice ANY_OF must fit at least one of the allowed forms',
        ],
      ],
    ];
    for (const [title, value, expected] of cases) {
      it(title, () => {
        const found = check(secret, value);
        assert.deepEqual(found, expected);
        assert(!JSON.stringify(found).includes(canary));
      });
    }
  });

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

  it('accepts the same $id in two schemas', () => {
    const schema = { $id: 'https://example.com/params', type: 'object' };
    assert.deepEqual(refusal(schema), []);
    assert.deepEqual(refusal({ ...schema, properties: {} }), []);
  });

  it('takes a name for a name where a keyword would be refused', () => {
    const schema = object({
      $async: { type: 'string' },
      $ref: { type: 'integer' },
      typ: { const: { typ: 1 } },
    });
    assert.deepEqual(check(schema, { $async: 'x', $ref: 1, typ: { typ: 1 } }), []);
  });

  it('keeps the patterns of one schema apart', () => {
    const schema = object({ a: { type: 'string', pattern: '^a$' }, b: { type: 'string', pattern: '^b$' } });
    assert.deepEqual(check(schema, { a: 'a', b: 'b' }), []);
    assert.deepEqual(check(schema, { a: 'b', b: 'a' }), [
      'params.a PATTERN must match the pattern ^a$',
      'params.b PATTERN must match the pattern ^b$',
    ]);
  });

  it('matches a pattern that makes backtracking engines stall', () => {
    const schema = object({ a: { type: 'string', pattern: '^(a+)+$' } });
    assert.deepEqual(check(schema, { a: `${'a'.repeat(500_000)}!` }), [
      'params.a PATTERN must match the pattern ^(a+)+$',
    ]);
  });

  it('checks every format it offers against long hostile texts', () => {
    const formats = [
      'date',
      'date-time',
      'duration',
      'email',
      'hostname',
      'ipv4',
      'ipv6',
      'json-pointer',
      'time',
      'uri',
      'uri-reference',
      'uuid',
    ];
    const schema = object(Object.fromEntries(formats.map((format) => [format, { type: 'string', format }])));
    for (const seed of ['a', 'a.', '1:', '::', '%41', 'a@', 'a-', '/', '2020-01-01T']) {
      const text = `${seed.repeat(20_000)}\u0000`;
      check(schema, Object.fromEntries(formats.map((format) => [format, text])));
    }
  });

  it('reports a value that is nested too deeply to be compared', () => {
    const deep = (): unknown[] => JSON.parse('['.repeat(100_000) + ']'.repeat(100_000)) as unknown[];
    const schema = object({ a: { type: 'array', uniqueItems: true, maxItems: 2 } });
    assert.deepEqual(check(schema, { a: [deep(), deep()] }), [
      'params DEPTH is nested too deeply to be checked',
    ]);
  });

  it('begins paths with the root it was compiled for', () => {
    const [fault] = compiler.compile('{"type":"object"}', 'output').validate(1);
    assert.equal(fault?.field, 'output');
  });

  it('keeps a bounded number of compiled schemas, and drops the one that was not used for longest', () => {
    const two = createSchemaCompiler({ schemasMax: 2 });
    const text = (title: string): string => JSON.stringify({ type: 'object', title });
    const [a, b] = [two.compile(text('a'), 'params'), two.compile(text('b'), 'params')];
    assert.equal(two.compile(text('a'), 'params'), a);
    two.compile(text('c'), 'params');
    assert.equal(two.compile(text('a'), 'params'), a);
    assert.notEqual(two.compile(text('b'), 'params'), b);
  });

  it('prints nothing when a schema cannot be compiled', () => {
    const program = `
      import { createSchemaCompiler } from ${JSON.stringify(new URL('../../../services/shared/schema/schema.js', import.meta.url))};
      try {
        createSchemaCompiler().compile('{"type":"object","properties":{"a":{"minLength":1}}}', 'params');
      } catch ({ name }) {
        process.stdout.write(name);
      }`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    });
    assert.deepEqual([stdout, stderr], ['CONFIGURATION_INVALID', '']);
  });
});
