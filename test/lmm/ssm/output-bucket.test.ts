import assert from 'node:assert/strict';
import { keyOfOutput, outputBucketFor } from '../../../services/lmm/transports/ssm/output-bucket.js';

const COMMAND = { commandId: '11111111-2222-3333-4444-555555555555', instanceId: 'i-0123456789abcdef0' };
const BELOW = `${COMMAND.commandId}/${COMMAND.instanceId}/awsrunShellScript/run/stdout`;

describe('the bucket of an output', () => {
  it('is the first that is for the region of the node, the account of its role, or all', () => {
    const buckets = ['eu-central-1=fra', '210987654321=other/rune', 'all/a/b'];
    const nameFor = (region: string, roleArn = ''): object | undefined =>
      outputBucketFor(buckets, { region, roleArn });
    assert.deepEqual(nameFor('eu-central-1'), { name: 'fra', keyPrefix: '' });
    assert.deepEqual(nameFor('us-east-1', 'arn:aws:iam::210987654321:role/runner'), {
      name: 'other',
      keyPrefix: 'rune',
    });
    assert.deepEqual(nameFor('us-east-1'), { name: 'all', keyPrefix: 'a/b' });
    assert.equal(outputBucketFor(buckets.slice(0, 2), { region: 'us-east-1', roleArn: '' }), undefined);
  });

  it('has the output below the command and the instance, and nowhere else', () => {
    const host = 'https://s3.eu-central-1.amazonaws.com';
    const bucket = { name: 'fra', keyPrefix: 'rune' };
    assert.equal(keyOfOutput(`${host}/fra/rune/${BELOW}`, bucket, COMMAND), `rune/${BELOW}`);
    assert.equal(keyOfOutput(`${host}/fra/${BELOW}`, { name: 'fra', keyPrefix: '' }, COMMAND), BELOW);
    const ownHost = 'https://fra.s3.eu-central-1.amazonaws.com';
    assert.equal(keyOfOutput(`${ownHost}/rune/${BELOW}`, bucket, COMMAND), `rune/${BELOW}`);
    for (const wrong of ['', `${host}/other/rune/${BELOW}`, `${host}/fra/${BELOW}`, `${host}/fra/rune/x/y`])
      assert.equal(keyOfOutput(wrong, bucket, COMMAND), undefined, wrong);
  });
});
