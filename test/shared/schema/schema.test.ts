import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createSchemaCompiler } from '../../../services/shared/schema/schema.js';
import { check, refusal, object } from './schema-checks.js';

const compiler = createSchemaCompiler();

describe('schema', () => {
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

  it('accepts the same $id in two schemas', () => {
    const schema = { $id: 'https://example.com/params', type: 'object' };
    assert.deepEqual(refusal(schema), []);
    assert.deepEqual(refusal({ ...schema, properties: {} }), []);
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
