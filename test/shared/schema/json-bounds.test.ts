import assert from 'node:assert/strict';
import { RunRequest } from '../../../services/shared/gen/rune/v1/lom.js';
import { fieldName } from '../../../services/shared/fault.js';
import { checkJsonBounds } from '../../../services/shared/schema/json-bounds.js';

const bounds = { depthMax: 32, bytesMax: 1024 };

const check = (value: unknown, limits = bounds): string[] =>
  checkJsonBounds(value, limits).map((fault) => `${fieldName('params', fault.path)} ${fault.reason}`);

function nest(levels: number, wrap: (inner: unknown) => unknown, innermost: unknown): unknown {
  let value = innermost;
  for (let level = 0; level < levels; level++) value = wrap(value);
  return value;
}

describe('JSON bounds', () => {
  const cases: [title: string, value: unknown, expected: string[]][] = [
    ['all kinds of JSON', { a: [1, -1.5, 'x', true, null, {}, []] }, []],
    ['the largest exact integer', { a: Number.MAX_SAFE_INTEGER }, []],
    ['an integer beyond it', { a: [0, 2 ** 53] }, ['params.a[1] NOT_EXACT']],
    ['not a number', { a: { b: NaN } }, ['params.a.b NOT_FINITE']],
    ['infinity', { a: -Infinity }, ['params.a NOT_FINITE']],
    ['a big integer', { a: 1n }, ['params.a NOT_JSON']],
    ['undefined', { a: undefined }, ['params.a NOT_JSON']],
    ['a date', { a: new Date(0) }, ['params.a NOT_JSON']],
    ['bytes', { a: Buffer.from('x') }, ['params.a NOT_JSON']],
    ['several faults', { a: NaN, b: 1n, c: 1 }, ['params.a NOT_FINITE', 'params.b NOT_JSON']],
    ['32 levels', nest(31, (a) => ({ a }), {}), []],
    ['33 levels', nest(32, (a) => ({ a }), {}), [`params${'.a'.repeat(32)} DEPTH`]],
    ['33 levels of lists', nest(32, (a) => [a], []), [`params${'[0]'.repeat(32)} DEPTH`]],
    ['a scalar below 32 levels', nest(32, (a) => ({ a }), 1), []],
  ];
  for (const [title, value, expected] of cases) it(title, () => assert.deepEqual(check(value), expected));

  it('counts the bytes of the JSON text exactly', () => {
    const value = { 'kéy"': ['ü€😀', '\n\u0001', 12.5, true, null, [], {}, [{}, 1]], b: -1 };
    const bytesMax = Buffer.byteLength(JSON.stringify(value));
    assert.deepEqual(check(value, { depthMax: 9, bytesMax }), []);
    assert.deepEqual(check(value, { depthMax: 9, bytesMax: bytesMax - 1 }), ['params SIZE']);
  });

  it('lists at most 20 faults', () => {
    assert.equal(check(Array.from({ length: 1000 }, () => NaN)).length, 20);
  });

  it('survives a value without end', () => {
    const deep: unknown = JSON.parse('['.repeat(200_000) + ']'.repeat(200_000));
    assert.equal(check(deep).length, 1);
  });

  it('lets through only depths that a message can carry', () => {
    const encode = (params: Record<string, unknown>): unknown => {
      const bytes = RunRequest.encode({ ...RunRequest.fromJSON({}), params }).finish();
      return RunRequest.decode(bytes).params;
    };
    for (const wrap of [(a: unknown) => ({ a }), (a: unknown) => [a]]) {
      const params = { a: nest(30, wrap, { end: 1 }) };
      assert.deepEqual(check(params), []);
      assert.deepEqual(encode(params), params);
    }
    assert.throws(() => encode({ a: nest(33, (a) => ({ a }), {}) }));
  });
});
