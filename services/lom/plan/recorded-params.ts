import type { Action } from '../../shared/bundle/action.js';
import { RuneError } from '../../shared/errors.js';
import { PARAMS_ROOT } from './params.js';
import { isReference } from './references-in.js';

type Params = Readonly<Record<string, unknown>>;

/** Parameters as they are recorded: null stands for a secret, unless that is a reference, which tells nobody its value. */
export function recordedParams(params: Params, { secrets }: Action): Record<string, unknown> {
  const isKept = (name: string): boolean => !secrets.include(name) || isReference(params[name]);
  return Object.fromEntries(
    Object.entries(params).map(([name, value]) => [name, isKept(name) ? value : null]),
  );
}

/** Throws SECRET_NOT_RECORDED if parameters that were recorded lack a secret that was given. */
export function requireSecrets(recorded: Params, { capability, secrets }: Action): void {
  const lacking = Object.keys(recorded).filter((name) => recorded[name] === null && secrets.include(name));
  const [first] = lacking;
  if (first === undefined) return;
  throw new RuneError(
    'SECRET_NOT_RECORDED',
    `The values of secret parameters are not recorded: ${lacking.join(', ')}.`,
    { action: capability.action, field: `${PARAMS_ROOT}.${first}` },
  );
}

/** Parameters that were recorded, with the secrets that are given again. Throws FIELD_OUT_OF_RANGE for what is no secret. */
export function withSecrets(recorded: Params, given: Params, { secrets }: Action): Record<string, unknown> {
  const other = Object.keys(given).find((name) => !secrets.include(name));
  if (other !== undefined) {
    throw new RuneError('FIELD_OUT_OF_RANGE', `${other} is no secret: it was recorded and stays as it was.`, {
      field: `secret_params.${other}`,
      expectedFormat: 'parameters that the action marks writeOnly',
    });
  }
  return { ...recorded, ...given };
}
