import assert from 'node:assert/strict';
import { measuredApi } from '../../../services/lmm/transports/ssm/measured-api.js';
import { SsmFault, type SsmApi } from '../../../services/lmm/transports/ssm/ssm-api.js';

describe('requests to Systems Manager that are counted', () => {
  it('are the requests themselves, and are told of with what became of them', async () => {
    const told: string[] = [];
    let closed = 0;
    const answers: Partial<SsmApi> = {
      instance: (id) => Promise.resolve({ pingStatus: id, agentVersion: '3', platform: 'Debian 12' }),
      cancel: () => Promise.reject(new SsmFault('throttled', 'ThrottlingException', 'Rate exceeded')),
      send: () => Promise.reject(new Error('no fault of the service')),
      close: () => void (closed += 1),
    };
    const api = measuredApi(answers as SsmApi, (call, result, seconds) => {
      assert.ok(seconds >= 0);
      told.push(`${call} ${result}`);
    });
    assert.equal((await api.instance('i-1'))?.pingStatus, 'i-1');
    await assert.rejects(api.cancel('c', 'i-1'), { kind: 'throttled' });
    await assert.rejects(api.send({} as Parameters<SsmApi['send']>[0]), /no fault/);
    api.close();
    assert.deepEqual(told, ['instance ok', 'cancel throttled', 'send unknown']);
    assert.equal(closed, 1);
  });
});
