import assert from 'node:assert/strict';
import { RuneError } from '../../../services/shared/errors.js';
import { bundleDirectory } from './bundle-directory.js';
import { bundle } from './say-bundle.js';

describe('a registry of actions', () => {
  const { directory, load } = bundleDirectory();

  describe('get', () => {
    const cases: [reference: string, message: string][] = [
      ['sya', 'There is no action "sya"; did you mean "say"?'],
      ['Say', 'There is no action "Say"; did you mean "say"?'],
      ['reboot', 'There is no action "reboot".'],
      ['say@2.0.0', 'There is no action "say@2.0.0"; the versions of say are 1.0.0.'],
      ['say@', 'There is no action "say@"; the versions of say are 1.0.0.'],
      ['say@1.0.0@x', 'There is no action "say@1.0.0@x"; the versions of say are 1.0.0.'],
      ['../../etc/passwd', 'There is no action "../../etc/passwd".'],
      ['s\u0430y', 'There is no action "s\u0430y"; did you mean "say"?'],
      ['\u001b[2J', 'There is no action "\\u001b[2J".'],
      ['constructor', 'There is no action "constructor".'],
      ['x'.repeat(1000), `There is no action "${'x'.repeat(64)}…".`],
    ];
    for (const [reference, message] of cases) {
      it(`refuses ${JSON.stringify(reference.slice(0, 20))}`, async () => {
        await directory.write(bundle());
        const registry = await load([directory.path]);
        assert.throws(
          () => registry.get(reference),
          (thrown: unknown) => {
            assert(thrown instanceof RuneError);
            assert.equal(thrown.name, 'ACTION_NOT_FOUND');
            assert.equal(thrown.message, message);
            assert((thrown.facts.originalValue ?? '').length <= 200);
            return true;
          },
        );
      });
    }
  });
});
