import assert from 'node:assert/strict';
import { createSdkApi, toFault } from '../../../services/lmm/transports/ssm/sdk-api.js';
import type { SsmFault } from '../../../services/lmm/transports/ssm/ssm-api.js';
import { freePort } from '../../support/free-port.js';
import { startSsmEndpoint, type SsmEndpoint } from '../../support/ssm/ssm-endpoint.js';

const WEB = 'i-0123456789abcdef0';
const COMMAND = {
  instanceIds: [WEB],
  document: 'AWS-RunShellScript',
  parameters: { commands: ['true'] },
  comment: 'a run',
  deliverySeconds: 30,
  executionSeconds: 30,
};

describe('what a failed request to Systems Manager says', () => {
  let aws: SsmEndpoint;
  before(async () => {
    aws = await startSsmEndpoint({ instances: { [WEB]: {} } });
    Object.assign(process.env, aws.env);
  });
  after(async () => {
    for (const name of Object.keys(aws.env)) delete process.env[name];
    await aws.stop();
  });

  const faultOf = async (endpoint: string): Promise<SsmFault> => {
    const api = await createSdkApi({
      region: aws.region,
      roleArn: '',
      endpoint,
      stsEndpoint: undefined,
      s3Endpoint: undefined,
      requestTimeoutMs: 500,
    });
    try {
      return await api.send(COMMAND).then(
        () => assert.fail('it was sent'),
        (fault: unknown) => fault as SsmFault,
      );
    } finally {
      api.close();
    }
  };

  it('an answer that is lost, late, broken or a fault of the service leaves open what was done', async () => {
    for (const kind of [
      'answer-lost',
      'answer-stalled',
      'answer-garbled',
      'answer-failed',
      'lost',
    ] as const) {
      aws.faults.inject({ call: 'SendCommand', kind });
      assert.equal((await faultOf(aws.url)).kind, 'unknown', kind);
    }
  });

  it('a refusal did nothing, and a throttled request neither', async () => {
    aws.faults.inject({ call: 'SendCommand', kind: 'denied' });
    assert.equal((await faultOf(aws.url)).kind, 'refused');
    aws.faults.inject({ call: 'SendCommand', kind: 'throttled' });
    assert.equal((await faultOf(aws.url)).kind, 'throttled');
  });

  it('what never had a connection was not sent', async () => {
    const port = await freePort();
    assert.equal((await faultOf(`http://127.0.0.1:${port}`)).kind, 'unsent');
    const words =
      'the request socket did not establish a connection with the server within the configured timeout';
    const timeout = Object.assign(new Error(words), { name: 'TimeoutError' });
    assert.equal(toFault(timeout).kind, 'unsent');
    const idle = Object.assign(new Error('the request socket timed out'), { name: 'TimeoutError' });
    assert.equal(toFault(idle).kind, 'unknown');
  });
});
