import assert from 'node:assert/strict';
import { RuneError } from '../../services/shared/errors.js';

/** Every fault for which this is not loaded, one `file:line REASON description` each, files as they are below the directory. */
export async function faultsOf(loading: Promise<unknown>, directory: string): Promise<string[]> {
  try {
    await loading;
  } catch (thrown) {
    assert.ok(thrown instanceof RuneError, String(thrown));
    assert.equal(thrown.name, 'CONFIGURATION_INVALID');
    return (thrown.facts.validationErrors ?? []).map(({ field, reason, description }) =>
      `${field} ${reason} ${description}`.replaceAll(`${directory}/`, ''),
    );
  }
  return [];
}
