import assert from 'node:assert/strict';
import { RuneError } from '../../services/shared/errors.js';

/** The error with which this is refused; fails where nothing, or anything else, is thrown. */
export function thrownBy(act: () => unknown): RuneError {
  try {
    act();
  } catch (thrown) {
    assert.ok(thrown instanceof RuneError, String(thrown));
    return thrown;
  }
  return assert.fail('It was not refused.');
}

/** The error with which this call is refused; fails where nothing, or anything else, is thrown. */
export async function rejectionOf(calling: Promise<unknown>): Promise<RuneError> {
  try {
    await calling;
  } catch (thrown) {
    assert.ok(thrown instanceof RuneError, String(thrown));
    return thrown;
  }
  return assert.fail('It was not refused.');
}
