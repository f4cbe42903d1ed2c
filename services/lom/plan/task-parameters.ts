import type { Action } from '../../shared/bundle/action.js';
import type { Fault } from '../../shared/fault.js';
import { toValidationError } from '../../shared/fault.js';
import { ParameterInput } from '../../shared/gen/rune/v1/lmm.js';
import { PluginProtocol } from '../../shared/gen/rune/v1/mrs.js';
import { PARAMS_ROOT, refuseParams } from './params.js';

/** Parameters that become variables, as JSON. */
const VARIABLES_BYTES_MAX = 64 * 1024;
const NAME = /^[A-Za-z0-9_]+$/;

/**
 * Throws INVALID_PARAMS for parameters that a Bolt task cannot be given: names of Bolt's own, such as `_noop` and `_installdir`,
 * by which tasks trust what they are told, and what cannot be a variable where the task takes variables.
 */
export function checkTaskParameters(action: Action, params: Readonly<Record<string, unknown>>): void {
  const { capability, parameterInput } = action;
  if (capability.protocol !== PluginProtocol.BOLT) return;
  const becomesVariables =
    parameterInput === ParameterInput.ENVIRONMENT || parameterInput === ParameterInput.BOTH;
  const faults: Fault[] = [];
  for (const [name, value] of Object.entries(params)) {
    const add = (reason: string, description: string): void => {
      faults.push({ path: [name], reason, description });
    };
    if (name.startsWith('_'))
      add('NAME', 'begins with "_": such names are kept for what Bolt itself tells a task');
    if (!becomesVariables) continue;
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    if (!NAME.test(name)) add('NAME', 'cannot be the name of a variable: letters, digits and "_"');
    if (text.includes('\0')) add('NUL', 'holds a NUL character, which no variable can carry');
  }
  if (becomesVariables && Buffer.byteLength(JSON.stringify(params)) > VARIABLES_BYTES_MAX) {
    const description = `are more than ${VARIABLES_BYTES_MAX} bytes as JSON, and this task takes them as variables`;
    faults.push({ path: [], reason: 'SIZE', description });
  }
  refuseParams(
    faults.map((fault) => toValidationError(PARAMS_ROOT, fault)),
    action,
  );
}
