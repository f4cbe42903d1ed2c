import assert from 'node:assert/strict';
import { RuneError } from '../../../services/shared/errors.js';
import { ParameterInput } from '../../../services/shared/gen/rune/v1/lmm.js';
import { ActionCapability } from '../../../services/shared/gen/rune/v1/mrs.js';
import { secretsOf } from '../../../services/shared/bundle/secrets.js';
import { createSchemaCompiler } from '../../../services/shared/schema/schema.js';
import type { Action } from '../../../services/shared/bundle/action.js';
import { checkParams } from '../../../services/lom/plan/params.js';

const compiler = createSchemaCompiler();

function actionWith(inputSchema: object): Action {
  const none = Buffer.alloc(0);
  return {
    capability: {
      ...ActionCapability.fromJSON({}),
      action: 'tail-log',
      inputSchema: JSON.stringify(inputSchema),
    },
    script: none,
    scriptSha256: '',
    library: none,
    librarySha256: '',
    files: [],
    arguments: [],
    parameterInput: ParameterInput.UNSPECIFIED,
    configuration: undefined,
    secrets: secretsOf(inputSchema),
    file: 'manifest.yaml',
    input: compiler.compile(JSON.stringify(inputSchema), 'params'),
    output: compiler.compile('{"type":"object"}', 'output'),
  };
}

const action = actionWith({
  type: 'object',
  additionalProperties: false,
  required: ['unit'],
  properties: {
    unit: { type: 'string', maxLength: 2_000_000 },
    lines: { type: 'integer', minimum: 1, default: 100 },
    options: { type: 'object', properties: { follow: { type: 'boolean', default: false } } },
    token: { type: 'string', writeOnly: true, pattern: '^t-' },
  },
});
const anything = actionWith({ type: 'object' });

function refusal(
  params: Record<string, unknown>,
  to: Action = action,
): { message: string; errors: string[] } {
  try {
    checkParams(params, to);
  } catch (thrown) {
    assert(thrown instanceof RuneError);
    assert.equal(thrown.name, 'INVALID_PARAMS');
    assert.equal(thrown.facts.action, 'tail-log');
    const errors = (thrown.facts.validationErrors ?? []).map((one) => `${one.field} ${one.reason}`);
    return { message: thrown.message, errors };
  }
  throw new assert.AssertionError({ message: 'nothing was refused' });
}

describe('params', () => {
  it('get their defaults in a copy', () => {
    const given = { unit: 'nginx', options: {} };
    assert.deepEqual(checkParams(given, action), { unit: 'nginx', lines: 100, options: { follow: false } });
    assert.deepEqual(given, { unit: 'nginx', options: {} });
  });

  it('are refused with each faulty field', () => {
    assert.deepEqual(refusal({ lnies: 1, lines: 0 }), {
      message: 'tail-log cannot take these parameters: params.unit is required, and 2 more.',
      errors: ['params.unit REQUIRED', 'params.lnies UNKNOWN', 'params.lines MINIMUM'],
    });
  });

  it('are not coerced', () =>
    assert.deepEqual(refusal({ unit: 1, lines: '5' }).errors, ['params.unit TYPE', 'params.lines TYPE']));

  const beyond: [title: string, params: Record<string, unknown>, errors: string[]][] = [
    ['an integer that loses digits', { a: [2 ** 60] }, ['params.a[0] NOT_EXACT']],
    ['not a number', { a: NaN }, ['params.a NOT_FINITE']],
    [
      '33 levels',
      JSON.parse(`${'{"a":'.repeat(32)}{}${'}'.repeat(32)}`) as Record<string, unknown>,
      [`params${'.a'.repeat(32)} DEPTH`],
    ],
    ['more than 1 MiB', { a: 'x'.repeat(1_048_576) }, ['params SIZE']],
  ];
  for (const [title, params, errors] of beyond) {
    it(`are refused for ${title}, whatever the schema says`, () =>
      assert.deepEqual(refusal(params, anything).errors, errors));
  }

  it('may be 1 MiB', () => {
    const params = { unit: 'x'.repeat(1_048_576 - '{"unit":"","lines":100}'.length) };
    assert.equal(JSON.stringify(checkParams(params, action)).length, 1_048_576);
  });

  it('may not grow beyond 1 MiB by their defaults', () => {
    const large = actionWith({
      type: 'object',
      properties: {
        list: {
          type: 'array',
          items: { type: 'object', properties: { text: { type: 'string', default: 'x'.repeat(60_000) } } },
        },
      },
    });
    assert.deepEqual(refusal({ list: Array.from({ length: 100_000 }, () => ({})) }, large).errors, [
      'params SIZE',
    ]);
  });

  it('are taken literally', () => {
    const params = { unit: '; id $(id) `id` {{7*7}} ${HOME} --flag \n\u0000', lines: 1 };
    assert.deepEqual(checkParams(params, action), params);
  });

  it('never show the value of a secret', () => {
    const { message, errors } = refusal({ unit: 'x', token: 'CANARY-1' });
    assert.deepEqual(errors, ['params.token PATTERN']);
    assert(!message.includes('CANARY'));
  });
});
