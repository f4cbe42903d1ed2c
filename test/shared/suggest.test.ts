import assert from 'node:assert/strict';
import { didYouMean } from '../../services/shared/suggest.js';

describe('suggest', () => {
  const cases: [name: string, candidates: string[], expected: string | undefined][] = [
    ['lnies', ['unit', 'lines'], 'lines'],
    ['line', ['lines'], 'lines'],
    ['liness', ['lines'], 'lines'],
    ['lanes', ['lines'], 'lines'],
    ['WEB01', ['web02', 'web01'], 'web01'],
    ['web1', ['web01', 'web10'], 'web01'],
    ['ab', ['cd'], undefined],
    ['ab', ['abcd'], undefined],
    ['restart', ['noop'], undefined],
    ['', ['a'], undefined],
    ['x'.repeat(100_000), ['x'], undefined],
    ['a', [], undefined],
    ['a', ['b', 'c'], undefined],
    ['A', ['b', 'a'], 'a'],
  ];
  for (const [name, candidates, expected] of cases) {
    it(`${JSON.stringify(name.slice(0, 20))} among ${candidates.join(', ') || 'nothing'}: ${expected ?? 'nothing near'}`, () => {
      const hint = expected === undefined ? '' : `; did you mean "${expected}"?`;
      assert.equal(didYouMean(name, candidates), hint);
    });
  }
});
