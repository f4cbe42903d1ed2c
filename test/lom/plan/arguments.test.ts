import assert from 'node:assert/strict';
import type { Action } from '../../../services/shared/bundle/action.js';
import { readArguments, type ArgumentsYaml } from '../../../services/shared/bundle/argument-template.js';
import { secretsOf } from '../../../services/shared/bundle/secrets.js';
import { RuneError } from '../../../services/shared/errors.js';
import { ActionCapability } from '../../../services/shared/gen/rune/v1/mrs.js';
import { resolveArguments } from '../../../services/lom/plan/arguments.js';

const SCHEMA = {
  type: 'object',
  required: ['host', 'paths'],
  properties: {
    host: { type: ['string', 'null'] },
    paths: { type: 'array' },
    port: { type: 'integer', default: 5 },
    verbose: { type: 'boolean' },
    token: { type: 'string', writeOnly: true },
    nested: { type: 'object', default: {}, properties: { key: { type: 'string', writeOnly: true } } },
  },
};

function faultsOf(yaml: ArgumentsYaml): string[] {
  const faults: string[] = [];
  readArguments(yaml, SCHEMA, secretsOf(SCHEMA), (path, reason) =>
    faults.push(`${path.join('.')} ${reason}`),
  );
  return faults;
}

function resolve(yaml: ArgumentsYaml, params: Record<string, unknown>): string[] {
  const groups = readArguments(yaml, SCHEMA, secretsOf(SCHEMA), (path, reason) =>
    assert.fail(`${path.join('.')} ${reason}`),
  );
  const action = { arguments: groups, capability: ActionCapability.fromPartial({ action: 'check' }) };
  return resolveArguments(action as unknown as Action, params);
}

function refusal(yaml: ArgumentsYaml, params: Record<string, unknown>): string[] {
  try {
    resolve(yaml, params);
  } catch (error) {
    assert.ok(error instanceof RuneError && error.name === 'INVALID_PARAMS', String(error));
    return (error.facts.validationErrors ?? []).map(({ field, reason }) => `${field} ${reason}`);
  }
  return [];
}

describe('the arguments of a program', () => {
  const resolved: [title: string, yaml: ArgumentsYaml, params: Record<string, unknown>, words: string[]][] = [
    [
      'are fixed texts and values',
      ['-H', '{host}', '--port={port}'],
      { host: 'web 01', port: 5 },
      ['-H', 'web 01', '--port=5'],
    ],
    [
      'keep every character of a value',
      ['-H', '{host}'],
      { host: `"'\n$(id) \\ {port}` },
      ['-H', `"'\n$(id) \\ {port}`],
    ],
    ['hold braces that are doubled', ['{{print $1}}', '{{{host}}}'], { host: 'x' }, ['{print $1}', '{x}']],
    [
      'get one argument for each item of a list',
      ['{paths}'],
      { paths: ['a b', 2, ['c']] },
      ['a b', '2', '["c"]'],
    ],
    ['get none for an empty list', ['-v', '{paths}'], { paths: [] }, ['-v']],
    ['get a list inside other text as JSON', ['x={paths}'], { paths: ['a'] }, ['x=["a"]']],
    ['may be empty', ['', '{host}'], { host: '' }, ['', '']],
    [
      'depend on a parameter that is given',
      [{ if: 'verbose', add: ['-v', '-v'] }],
      { verbose: true },
      ['-v', '-v'],
    ],
    ['leave out what depends on one that is false', [{ if: 'verbose', add: ['-v'] }], { verbose: false }, []],
    ['leave out what depends on one that is not given', [{ if: 'verbose', add: ['-v'] }], {}, []],
    [
      'leave out what depends on one that is null',
      [{ if: 'host', add: ['-H', '{host}'] }],
      { host: null },
      [],
    ],
    ['leave out what depends on an empty list', [{ if: 'paths', add: ['-p', '{paths}'] }], { paths: [] }, []],
    [
      'take 0 and an empty text for given',
      [
        { if: 'port', add: ['{port}'] },
        { if: 'host', add: ['{host}'] },
      ],
      { port: 0, host: '' },
      ['0', ''],
    ],
    ['let the value of an option begin with "-"', ['-w', '{host}'], { host: '-5:5' }, ['-w', '-5:5']],
    [
      'let anything begin with "-" behind "--"',
      ['--', '{host}', '{paths}'],
      { host: '-x', paths: ['-y'] },
      ['--', '-x', '-y'],
    ],
    ['let a value behind fixed text begin with "-"', ['h{host}'], { host: '-x' }, ['h-x']],
  ];
  for (const [title, yaml, params, words] of resolved) {
    it(title, () => assert.deepEqual(resolve(yaml, params), words));
  }

  const refused: [title: string, yaml: ArgumentsYaml, params: Record<string, unknown>, fields: string[]][] = [
    ['a value that looks like an option', ['{host}'], { host: '-oProxyCommand=id' }, ['params.host OPTION']],
    ['one at the start of an argument', ['{host}:{port}'], { host: '-x', port: 1 }, ['params.host OPTION']],
    ['a number below 0 where an option may stand', ['x', '{port}'], { port: -1 }, ['params.port OPTION']],
    [
      'one behind an option that has its value',
      ['--port={port}', '{host}'],
      { host: '-x', port: 1 },
      ['params.host OPTION'],
    ],
    ['one behind a single "-"', ['-', '{host}'], { host: '-x' }, ['params.host OPTION']],
    [
      'the second item of a list behind an option',
      ['-p', '{paths}'],
      { paths: ['-a', '-b'] },
      ['params.paths[1] OPTION'],
    ],
    [
      'one behind a value that the caller made look like an option',
      ['-p', '{host}', '{paths}'],
      { host: '--', paths: ['-b'] },
      ['params.paths[0] OPTION'],
    ],
    ['a NUL character', ['-H', '{host}'], { host: 'a\0b' }, ['params.host NUL']],
    ['null', ['-H', '{host}'], { host: null }, ['params.host TYPE']],
    ['more than 64 KiB', ['{host}'], { host: 'x'.repeat(65_536) }, ['params SIZE']],
    [
      'all faults together',
      ['{host}', '{paths}'],
      { host: '-x', paths: ['a', '\0'] },
      ['params.host OPTION', 'params.paths[1] NUL'],
    ],
  ];
  for (const [title, yaml, params, fields] of refused) {
    it(`refuse ${title}`, () => assert.deepEqual(refusal(yaml, params), fields));
  }
  it('take 64 KiB, each with the byte that ends it', () => {
    assert.equal(resolve(['{host}'], { host: 'x'.repeat(65_535) })[0]?.length, 65_535);
  });

  const faulty: [title: string, yaml: ArgumentsYaml, faults: string[]][] = [
    ['a parameter that does not exist', ['{hots}'], ['0 UNKNOWN']],
    ['one that every object seems to have', ['{constructor}'], ['0 UNKNOWN']],
    ['one that need not be given', ['-v', 'x{verbose}'], ['1 OPTIONAL']],
    [
      'one that need not be given, where another one decides',
      [{ if: 'host', add: ['{verbose}'] }],
      ['0.add.0 OPTIONAL'],
    ],
    ['a condition that does not exist', [{ if: 'verbos', add: ['-v'] }], ['0.if UNKNOWN']],
    ['a secret', [{ if: 'token', add: ['{token}'] }], ['0.if SECRET', '0.add.0 SECRET']],
    ['a parameter that holds a secret', ['{nested}'], ['0 SECRET']],
    ['a brace that begins no parameter', ['{ host }', '{'], ['0 TEMPLATE', '1 TEMPLATE']],
  ];
  for (const [title, yaml, faults] of faulty) {
    it(`cannot be made of ${title}`, () => assert.deepEqual(faultsOf(yaml), faults));
  }
});
