import assert from 'node:assert/strict';
import { acceptsUndef, puppetSchema } from '../../../services/shared/bundle/puppet-schema.js';
import { parsePuppetType } from '../../../services/shared/bundle/puppet-type.js';
import { createSchemaCompiler } from '../../../services/shared/schema/schema.js';

function schemaOf(text: string): object {
  const type = parsePuppetType(text);
  assert.ok(type !== undefined, `${text} is not read as a type`);
  return puppetSchema(type);
}

describe('a Puppet type as JSON Schema', () => {
  const cases: [type: string, schema: object][] = [
    ['String', { type: 'string' }],
    ['String[1]', { type: 'string', minLength: 1 }],
    ['String[1, 10]', { type: 'string', minLength: 1, maxLength: 10 }],
    ['String[default, 10]', { type: 'string', maxLength: 10 }],
    ['Integer', { type: 'integer' }],
    ['Integer[-5, 65535]', { type: 'integer', minimum: -5, maximum: 65_535 }],
    ['Integer[default, 0]', { type: 'integer', maximum: 0 }],
    ['Float[0.5, 1e3]', { type: 'number', minimum: 0.5, maximum: 1000 }],
    ['Numeric', { type: 'number' }],
    ['Boolean', { type: 'boolean' }],
    ['Boolean[true]', { const: true }],
    ['Enum[\'a\', "b c", d]', { type: 'string', enum: ['a', 'b c', 'd'] }],
    ["Enum['a', true]", { type: 'string' }],
    ["Enum['it\\'s']", { type: 'string', enum: ["it's"] }],
    ['Pattern[/\\A[a-z]+\\Z/]', { type: 'string', pattern: '^[a-z]+$' }],
    [
      'Pattern[/a\\/b/, /^\\h{2}$/]',
      {
        anyOf: [
          { type: 'string', pattern: 'a/b' },
          { type: 'string', pattern: '^[0-9a-fA-F]{2}$' },
        ],
      },
    ],
    ['Pattern[/(?=a)b/]', { type: 'string' }],
    ['Optional[String[1]]', { type: ['string', 'null'], minLength: 1 }],
    ["Optional[Enum['a']]", { type: ['string', 'null'], enum: ['a', null] }],
    ["Optional['a']", { anyOf: [{ const: 'a' }, { type: 'null' }] }],
    [
      'Variant[Integer, Array[Integer, 1, 3]]',
      {
        anyOf: [{ type: 'integer' }, { type: 'array', minItems: 1, maxItems: 3, items: { type: 'integer' } }],
      },
    ],
    ['Array', { type: 'array' }],
    ['Hash', { type: 'object' }],
    ['Hash[String, Integer]', { type: 'object', additionalProperties: { type: 'integer' } }],
    [
      'Hash[String[1], Any, 1, 2]',
      { type: 'object', minProperties: 1, maxProperties: 2, propertyNames: { type: 'string', minLength: 1 } },
    ],
    [
      "Struct[{ 'mode' => Enum['r', 'w'], Optional[path] => String, size => Optional[Integer], }]",
      {
        type: 'object',
        additionalProperties: false,
        properties: {
          mode: { type: 'string', enum: ['r', 'w'] },
          path: { type: 'string' },
          size: { type: ['integer', 'null'] },
        },
        required: ['mode'],
      },
    ],
    [
      'Tuple[String, Integer]',
      {
        type: 'array',
        prefixItems: [{ type: 'string' }, { type: 'integer' }],
        items: false,
        minItems: 2,
        maxItems: 2,
      },
    ],
    ['Tuple[String, 1, 4]', { type: 'array', minItems: 1, maxItems: 4, items: { type: 'string' } }],
    ['Sensitive[String]', { type: 'string', writeOnly: true }],
    ['NotUndef[String]', { type: 'string' }],
    ['Undef', { type: 'null' }],
    ['Any', {}],
    ['Data', {}],
    ['Optional[Data]', {}],
    ['Variant[String, Stdlib::Absolutepath]', {}],
    ['Stdlib::Absolutepath', {}],
    ['TargetSpec', {}],
  ];
  const schemas = createSchemaCompiler();
  for (const [type, schema] of cases) {
    it(`${type} becomes a schema that can be compiled`, () => {
      assert.deepEqual(schemaOf(type), schema);
      schemas.compile(JSON.stringify({ type: 'object', properties: { x: schema } }), 'params');
    });
  }

  for (const text of [
    '',
    'string',
    'String[',
    'String]',
    'String[1',
    'String 1',
    'Struct[{a}]',
    "Enum['a]",
    '1',
    `${'Array['.repeat(50)}String${']'.repeat(50)}`,
  ]) {
    it(`${JSON.stringify(text.slice(0, 20))} is no type`, () =>
      assert.equal(parsePuppetType(text), undefined));
  }

  it('tells the types whose value may be left out, and takes one that is not known here for such a type', () => {
    const may = (text: string): boolean =>
      acceptsUndef(parsePuppetType(text) ?? { name: 'Integer', args: [] });
    assert.deepEqual(
      [
        'Optional[String]',
        'Undef',
        'Any',
        'Data',
        'Variant[Undef, String]',
        'Stdlib::Port',
        'Sensitive[Optional[String]]',
      ].map(may),
      Array.from({ length: 7 }, () => true),
    );
    assert.deepEqual(['String', 'NotUndef', 'Variant[Integer, String]', 'Sensitive[String]'].map(may), [
      false,
      false,
      false,
      false,
    ]);
  });
});
