import { RuneError, type ErrorName } from '../../shared/errors.js';
import type { ValidationError } from '../../shared/gen/rune/v1/eps.js';

/** Which error a rule that a file of a bundle breaks is, by the rule's name; the rest is MODULE_CONTENT_INVALID. */
const ERROR_OF_RULE: Readonly<Record<string, ErrorName>> = {
  NAME: 'FIELD_MALFORMED',
  VERSION: 'FIELD_MALFORMED',
  PATH: 'FIELD_MALFORMED',
  PATTERN: 'FIELD_MALFORMED',
  FORMAT: 'FIELD_MALFORMED',
  REQUIRED: 'FIELD_MISSING',
  TYPE: 'FIELD_WRONG_TYPE',
  ENUM: 'FIELD_OUT_OF_RANGE',
  MINIMUM: 'FIELD_OUT_OF_RANGE',
  MAXIMUM: 'FIELD_OUT_OF_RANGE',
  MAX_ITEMS: 'FIELD_OUT_OF_RANGE',
  MIN_ITEMS: 'FIELD_OUT_OF_RANGE',
  MAX_LENGTH: 'FIELD_OUT_OF_RANGE',
  MIN_LENGTH: 'FIELD_OUT_OF_RANGE',
  SIZE: 'FIELD_OUT_OF_RANGE',
  STRICT: 'SCHEMA_INVALID',
  REFERENCE: 'SCHEMA_INVALID',
  RECURSION: 'SCHEMA_INVALID',
  NOT_JSON: 'SCHEMA_INVALID',
  DUPLICATE: 'MODULE_VERSION_CONFLICT',
  VERSION_CONFLICT: 'MODULE_VERSION_CONFLICT',
  ALREADY_PROVIDED: 'ACTION_ALREADY_PROVIDED',
};

/** What is wrong with the files of a bundle as the refusal of its registration. */
export function contentError(listed: readonly ValidationError[], count: number): RuneError {
  const [first] = listed;
  const name = ERROR_OF_RULE[first?.reason ?? ''] ?? 'MODULE_CONTENT_INVALID';
  const more = count > 1 ? ` (the first of ${count} faults)` : '';
  return new RuneError(name, `The bundle is refused: ${first?.field}: ${first?.description}${more}.`, {
    field: first?.field ?? '',
    validationErrors: [...listed],
  });
}
