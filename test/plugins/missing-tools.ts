import assert from 'node:assert/strict';
import { makeTempDirectory } from '../support/temp-directory.js';
import { makeToolPath, type ActionEnding } from './shipped-action.js';

/**
 * An action ends with code 2 and the name of whichever of these tools is missing; `errorWith` runs it with a PATH that has the
 * others and nothing else. To be called in a `describe`.
 */
export function itNamesMissingTools(
  tools: readonly string[],
  errorWith: (path: string) => Promise<ActionEnding['error']>,
): void {
  for (const tool of tools) {
    it(`ends with code 2 and names ${tool} where it is missing`, async () => {
      const directory = await makeTempDirectory();
      try {
        const others = tools.filter((each) => each !== tool);
        const error = await errorWith(await makeToolPath(directory.path, others));
        assert.deepEqual([error?.code, error?.details], [2, { missing: tool }]);
      } finally {
        await directory.remove();
      }
    });
  }
}
