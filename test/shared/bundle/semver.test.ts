import assert from 'node:assert/strict';
import { compareSemver, isSemver } from '../../../services/shared/bundle/semver.js';

describe('semver', () => {
  for (const good of [
    '0.0.0',
    '1.2.3',
    '1.0.0-alpha',
    '1.0.0-alpha.1',
    '1.0.0-0.3.7',
    '1.0.0-x-y-z.--',
    '1.0.0+20130313',
    '1.0.0-rc.1+exp.sha.5114f85',
  ]) {
    it(`${good} is a version`, () => assert(isSemver(good)));
  }
  for (const bad of [
    '',
    '1',
    '1.2',
    'v1.2.3',
    '01.2.3',
    '1.2.3-',
    '1.2.3-01',
    '1.2.3+',
    '1.2.3 ',
    '1.2.3\n',
    '1.2.3-ä',
    '^1.2.3',
    `1.0.0-${'a'.repeat(100)}`,
  ]) {
    it(`${JSON.stringify(bad.slice(0, 20))} is none`, () => assert(!isSemver(bad)));
  }

  it('sorts as the specification says, numbers as numbers however long', () => {
    const sorted = [
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-alpha.beta',
      '1.0.0-beta',
      '1.0.0-beta.2',
      '1.0.0-beta.11',
      '1.0.0-rc.1',
      '1.0.0',
      '1.0.1',
      '1.2.0',
      '1.10.0',
      '2.0.0',
      '10.0.0',
      '100000000000000000000000.0.0',
      '100000000000000000000001.0.0',
    ];
    for (const [index, version] of sorted.entries()) {
      assert.equal(compareSemver(version, version), 0);
      for (const later of sorted.slice(index + 1)) {
        assert(compareSemver(version, later) < 0, `${version} < ${later}`);
        assert(compareSemver(later, version) > 0, `${later} > ${version}`);
      }
    }
  });

  it('does not count build metadata', () => assert.equal(compareSemver('1.0.0+a', '1.0.0+b'), 0));
});
