import { RuneError } from '../errors.js';

const REASON_LENGTH_MAX = 1000;

/** Refuses a reason that is too long to be passed on or that no plugin could be given. */
export function checkReason(reason: string): void {
  if (reason.length <= REASON_LENGTH_MAX && !reason.includes('\0')) return;
  throw new RuneError('FIELD_OUT_OF_RANGE', 'The reason cannot be passed on.', {
    field: 'reason',
    expectedFormat: `at most ${REASON_LENGTH_MAX} characters, none of them NUL`,
  });
}
