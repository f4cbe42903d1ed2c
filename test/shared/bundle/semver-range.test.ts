import assert from 'node:assert/strict';
import { isInRange, isSemverRange } from '../../../services/shared/bundle/semver-range.js';

describe('a range of versions', () => {
  const CASES: readonly (readonly [range: string, inside: string, outside: string])[] = [
    ['*', '0.0.0 9.9.9', '1.0.0-rc.1'],
    ['1.2.3', '1.2.3', '1.2.2 1.2.4 1.2.3-rc.1'],
    ['1.2', '1.2.0 1.2.9', '1.1.9 1.3.0 1.3.0-rc.1'],
    ['1.x', '1.0.0 1.9.9', '0.9.9 2.0.0'],
    ['^1.2.3', '1.2.3 1.9.0', '1.2.2 2.0.0 2.0.0-rc.1'],
    ['^0.2.3', '0.2.3 0.2.9', '0.2.2 0.3.0'],
    ['^0.0.3', '0.0.3', '0.0.2 0.0.4'],
    ['~1.2.3', '1.2.3 1.2.9', '1.2.2 1.3.0'],
    ['~1', '1.0.0 1.9.9', '0.9.0 2.0.0'],
    ['>=1.2.0 <2.0.0', '1.2.0 1.9.9', '1.1.9 2.0.0 2.0.0-rc.1'],
    ['> 1.2', '1.3.0 2.0.0', '1.2.0 1.2.9'],
    ['<=1.2', '1.2.9 0.1.0', '1.3.0'],
    ['1.x || >=3.0.0', '1.5.0 3.0.0', '2.0.0'],
    ['>=1.0.0-rc.1', '1.0.0-rc.2 1.0.0 2.0.0', '1.0.0-beta 2.0.0-rc.1'],
  ];
  for (const [range, inside, outside] of CASES) {
    it(`${range} holds ${inside} and not ${outside}`, () => {
      for (const version of inside.split(' ')) assert.equal(isInRange(version, range), true, version);
      for (const version of outside.split(' ')) assert.equal(isInRange(version, range), false, version);
    });
  }

  it('is refused where it cannot be read, and then holds nothing', () => {
    for (const text of ['', 'latest', '1.2.3.4', '>', '>*', '^a', '1.0.0 '.repeat(60)]) {
      assert.equal(isSemverRange(text), false, text);
      assert.equal(isInRange('1.0.0', text), false, text);
    }
  });
});
