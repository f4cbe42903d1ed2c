import assert from 'node:assert/strict';
import type { Action } from '../../../services/shared/bundle/action.js';
import { RuneError } from '../../../services/shared/errors.js';
import { ParameterInput } from '../../../services/shared/gen/rune/v1/lmm.js';
import { ActionCapability, PluginProtocol } from '../../../services/shared/gen/rune/v1/mrs.js';
import { checkTaskParameters } from '../../../services/lom/plan/task-parameters.js';

function faultsOf(
  params: Record<string, unknown>,
  parameterInput: ParameterInput = ParameterInput.STDIN,
  protocol: PluginProtocol = PluginProtocol.BOLT,
): string[] {
  const action = { parameterInput, capability: ActionCapability.fromPartial({ action: 'task', protocol }) };
  try {
    checkTaskParameters(action as unknown as Action, params);
  } catch (error) {
    assert.ok(error instanceof RuneError && error.name === 'INVALID_PARAMS', String(error));
    return (error.facts.validationErrors ?? []).map(({ field, reason }) => `${field} ${reason}`);
  }
  return [];
}

describe('the parameters of a Bolt task', () => {
  it('may have any name and value on stdin, and any program has its own rules', () => {
    assert.deepEqual(faultsOf({ 'a-b': '\0', c: null }), []);
    assert.deepEqual(faultsOf({ _noop: false }, ParameterInput.UNSPECIFIED, PluginProtocol.RAW), []);
  });

  for (const input of [ParameterInput.STDIN, ParameterInput.ENVIRONMENT, ParameterInput.BOTH]) {
    it(`never have a name by which Bolt itself speaks to tasks, input method ${input}`, () => {
      const found = faultsOf({ _noop: false, _installdir: '/tmp', _: 1, a_b: 1 }, input);
      assert.deepEqual(found, ['params._noop NAME', 'params._installdir NAME', 'params._ NAME']);
    });
  }

  it('that become variables have names and values that can be that, and are not too large', () => {
    const found = faultsOf({ 'a-b': 1, c: '\0', d: 'x'.repeat(65_536) }, ParameterInput.ENVIRONMENT);
    assert.deepEqual(found, ['params.a-b NAME', 'params.c NUL', 'params SIZE']);
  });
});
