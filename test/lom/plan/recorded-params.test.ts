import assert from 'node:assert/strict';
import { recordedParams, requireSecrets, withSecrets } from '../../../services/lom/plan/recorded-params.js';
import type { Action } from '../../../services/shared/bundle/action.js';
import { secretsOf } from '../../../services/shared/bundle/secrets.js';
import { ActionCapability } from '../../../services/shared/gen/rune/v1/mrs.js';

const secret = { type: 'string', writeOnly: true };
const actionWith = (properties: object): Action =>
  ({
    capability: ActionCapability.fromPartial({ action: 'rotate' }),
    secrets: secretsOf({ type: 'object', properties }),
  }) as Action;
const ACTION = actionWith({
  unit: { type: 'string' },
  password: secret,
  login: { type: 'object', properties: { user: { type: 'string' }, token: secret } },
});

describe('what is recorded of parameters', () => {
  it('is everything but secrets, for which null stands, and for what holds one', () => {
    const params = { unit: 'nginx', password: 'p', login: { user: 'a', token: 't' } };
    assert.deepEqual(recordedParams(params, ACTION), { unit: 'nginx', password: null, login: null });
  });

  it('has a reference, which tells nobody the value', () => {
    assert.deepEqual(recordedParams({ password: 'ssm:/rune/p' }, ACTION), { password: 'ssm:/rune/p' });
  });

  it('says nothing of a secret that was not given', () => {
    assert.deepEqual(recordedParams({ unit: 'nginx' }, ACTION), { unit: 'nginx' });
    requireSecrets({ unit: 'nginx' }, ACTION);
  });

  it('is nothing to run from until the secrets are given again', () => {
    const recorded = recordedParams({ unit: 'nginx', password: 'p', login: {} }, ACTION);
    const again = withSecrets(recorded, { password: 'q' }, ACTION);
    assert.throws(() => requireSecrets(again, ACTION), {
      name: 'SECRET_NOT_RECORDED',
      message: 'The values of secret parameters are not recorded: login.',
      facts: { action: 'rotate', field: 'params.login' },
    });
    const params = withSecrets(recorded, { password: 'q', login: {} }, ACTION);
    requireSecrets(params, ACTION);
    assert.deepEqual(params, { unit: 'nginx', password: 'q', login: {} });
  });

  it('is not changed under the name of a secret', () => {
    assert.throws(() => withSecrets({ unit: 'nginx' }, { unit: 'sshd' }, ACTION), {
      name: 'FIELD_OUT_OF_RANGE',
      facts: { field: 'secret_params.unit', expectedFormat: 'parameters that the action marks writeOnly' },
    });
  });
});
