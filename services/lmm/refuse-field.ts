import { RuneError } from '../shared/errors.js';

/** Throws FIELD_MALFORMED for a field of MediateStart. */
export function refuseField(field: string, message: string, expectedFormat: string): never {
  throw new RuneError('FIELD_MALFORMED', message, { field: `start.${field}`, expectedFormat });
}
