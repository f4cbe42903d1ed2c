import { RuneError } from '../../shared/errors.js';
import { toValidationError } from '../../shared/fault.js';
import type { ValidationError } from '../../shared/gen/rune/v1/eps.js';
import { checkJsonBounds } from '../../shared/schema/json-bounds.js';
import type { Action } from '../../shared/bundle/action.js';
import { referencesIn } from './references-in.js';

/** What parameters may hold; a deeper value could not travel in a message. */
const PARAMS_BOUNDS = { depthMax: 32, bytesMax: 1024 * 1024 };

/** Begins the name of every field of the parameters. */
export const PARAMS_ROOT = 'params';

/**
 * The parameters with the action's defaults filled in; the given object stays as it is. Throws INVALID_PARAMS whose
 * validation_errors name each faulty field and never its value. Secrets that are references may break the schema: requireReferences
 * refuses those that are none.
 */
export function checkParams(params: Record<string, unknown>, action: Action): Record<string, unknown> {
  refuseParams(boundsErrors(params), action);
  const filled = structuredClone(params);
  const { capability, input } = action;
  // What a reference leads to is known to the node alone.
  const isOpen = ({ field }: ValidationError): boolean =>
    referencesIn(capability, params).some((name) => field === `${PARAMS_ROOT}.${name}`);
  refuseParams(
    input.validate(filled).filter((error) => !isOpen(error)),
    action,
  );
  // Defaults are part of what is sent, and a small list can call for many of them.
  refuseParams(boundsErrors(filled), action);
  return filled;
}

function boundsErrors(params: Record<string, unknown>): ValidationError[] {
  return checkJsonBounds(params, PARAMS_BOUNDS).map((fault) => toValidationError(PARAMS_ROOT, fault));
}

/** Throws INVALID_PARAMS if there is any error. */
export function refuseParams(validationErrors: readonly ValidationError[], { capability }: Action): void {
  const [first] = validationErrors;
  if (first === undefined) return;
  const more = validationErrors.length > 1 ? `, and ${validationErrors.length - 1} more` : '';
  throw new RuneError(
    'INVALID_PARAMS',
    `${capability.action} cannot take these parameters: ${first.field} ${first.description}${more}.`,
    {
      action: capability.action,
      field: first.field,
      validationErrors: [...validationErrors],
    },
  );
}
