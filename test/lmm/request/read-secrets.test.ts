import assert from 'node:assert/strict';
import { readSecrets } from '../../../services/lmm/request/read-secrets.js';
import { MediateStart } from '../../../services/shared/gen/rune/v1/lmm.js';

const read = (params: object, ...secretParams: string[]): string[] =>
  readSecrets(MediateStart.fromPartial({ paramsJson: Buffer.from(JSON.stringify(params)), secretParams }));

describe('the secrets of a run', () => {
  it('are the texts in the parameters that are named, at any depth', () => {
    const params = { login: { user: 'u', keys: ['k', 1, null] }, token: 't', name: 'n', flag: true };
    assert.deepEqual(read(params, 'login', 'token', 'flag', 'missing'), ['u', 'k', 't']);
    assert.deepEqual(read(params), []);
  });

  it('are refused where there are too many', () => {
    const keys = Array.from({ length: 1001 }, (_, index) => `k${index}`);
    assert.throws(() => read({ keys }, 'keys'), { name: 'FIELD_MALFORMED', message: /1001 texts/ });
  });
});
