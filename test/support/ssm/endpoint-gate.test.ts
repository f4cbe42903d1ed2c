import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { ListCommandsCommand, SendCommandCommand, SSMClient } from '@aws-sdk/client-ssm';
import { eventually } from '../eventually.js';
import { makeTempDirectory } from '../temp-directory.js';
import { endpointScene, WEB, DB, refusal } from './endpoint-scene.js';

const ROLE = 'arn:aws:iam::210987654321:role/runner';

describe('the test endpoint for Systems Manager', () => {
  const scene = endpointScene();
  const { start, track, connect, send, until } = scene;

  describe('as the gate', () => {
    it('knows a wrong secret, region and date, a changed body and a session that is over', async () => {
      await start();
      const { accessKeyId } = scene.endpoint.credentials;
      const list = (options: ConstructorParameters<typeof SSMClient>[0]): Promise<string> =>
        refusal(connect(options).send(new ListCommandsCommand({})));
      assert.equal(
        await list({ credentials: { accessKeyId, secretAccessKey: 'no' } }),
        'InvalidSignatureException',
      );
      assert.equal(
        await list({ credentials: { accessKeyId: 'AKIANOBODY', secretAccessKey: 'no' } }),
        'UnrecognizedClientException',
      );
      assert.equal(await list({ region: 'ap-south-1' }), 'InvalidSignatureException');
      assert.equal(await list({ systemClockOffset: -3_600_000 }), 'InvalidSignatureException');
      assert.equal(await list({ credentials: scene.endpoint.makeSession(60) }), 'none');
      assert.equal(await list({ credentials: scene.endpoint.makeSession(0) }), 'ExpiredTokenException');
      const { accessKeyId: id, secretAccessKey } = scene.endpoint.makeSession(60);
      assert.equal(
        await list({ credentials: { accessKeyId: id, secretAccessKey } }),
        'UnrecognizedClientException',
      );
      const client = connect();
      client.middlewareStack.add(
        (next) => (args) => {
          (args.request as { body: string }).body = '{"MaxResults":12}';
          return next(args);
        },
        { step: 'deserialize', priority: 'low' },
      );
      const changed = client.send(new ListCommandsCommand({ MaxResults: 11 }));
      assert.equal(await refusal(changed), 'InvalidSignatureException');
      const unsigned = await fetch(scene.endpoint.url, {
        method: 'POST',
        headers: { 'x-amz-target': 'AmazonSSM.ListCommands' },
        body: '{}',
      });
      assert.deepEqual(
        [unsigned.status, ((await unsigned.json()) as { __type: string }).__type],
        [400, 'MissingAuthenticationTokenException'],
      );
      assert.deepEqual(scene.endpoint.record.executions(), []);
    });

    it('gives the session of a granted role what its account has, and nothing of a denied one', async () => {
      await start({
        instances: { [WEB]: {}, [DB]: { account: '210987654321' } },
        roles: { [`${ROLE}-granted`]: 'granted', [`${ROLE}-denied`]: 'denied' },
      });
      const directory = await makeTempDirectory();
      const { accessKeyId, secretAccessKey } = scene.endpoint.credentials;
      const roleOf = (name: string): string =>
        `[profile ${name}]\nrole_arn = ${ROLE}-${name}\nsource_profile = base\n`;
      await directory.write({
        config: `[profile base]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n${roleOf('granted')}${roleOf('denied')}`,
      });
      const settings = {
        AWS_CONFIG_FILE: join(directory.path, 'config'),
        AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
        AWS_ENDPOINT_URL_STS: scene.endpoint.url,
        AWS_REGION: scene.endpoint.region,
      };
      Object.assign(process.env, settings);
      try {
        const through = (profile: string): SSMClient =>
          track(
            new SSMClient({
              endpoint: scene.endpoint.url,
              region: scene.endpoint.region,
              profile,
              maxAttempts: 1,
            }),
          );
        assert.equal(await refusal(send('true', {}, through('granted'))), 'InvalidInstanceId');
        assert.notEqual(await send('true', { InstanceIds: [DB] }, through('granted')), '');
        assert.match(await refusal(send('true', {}, through('denied'))), /AccessDenied/);
      } finally {
        for (const name of Object.keys(settings)) delete process.env[name];
        await directory.remove();
      }
    });

    it('keeps the whole output in a bucket', async () => {
      await start({ buckets: ['rune-output'] });
      const id = await send('head -c 100000 /dev/zero | tr "\\0" o', {
        OutputS3BucketName: 'rune-output',
        OutputS3KeyPrefix: 'runs',
      });
      const found = await until('Success', id);
      assert.equal(
        found.StandardOutputUrl,
        `https://s3.us-east-1.amazonaws.com/rune-output/runs/${id}/${WEB}/awsrunShellScript/0.awsrunShellScript/stdout`,
      );
      const bytes = scene.endpoint.object(
        found.StandardOutputUrl.replace('https://s3.us-east-1.amazonaws.com/', ''),
      );
      assert.equal(
        createHash('sha256')
          .update(bytes ?? '')
          .digest('hex'),
        createHash('sha256').update('o'.repeat(100_000)).digest('hex'),
      );
    });
  });

  describe('with faults', () => {
    it('throttles above a rate, by share and by count, and says how fast calls came', async () => {
      await start({ ratesPerSecond: { ListCommands: 3 } });
      const client = connect();
      const list = (): Promise<string> => refusal(client.send(new ListCommandsCommand({})));
      const answers = await Promise.all(Array.from({ length: 10 }, list));
      assert.ok(answers.filter((answer) => answer === 'ThrottlingException').length >= 6, answers.join());
      assert.ok(scene.endpoint.record.peakRate('ListCommands') >= 3);
      scene.endpoint.faults.inject({ call: 'SendCommand', kind: 'throttled', times: 2 });
      assert.deepEqual(
        [await refusal(send('true')), await refusal(send('true')), await refusal(send('true'))],
        ['ThrottlingException', 'ThrottlingException', 'none'],
      );
    });

    it('loses, spoils or withholds the answer to a command that it accepted', async () => {
      await start();
      for (const kind of ['answer-lost', 'answer-failed', 'answer-garbled'] as const) {
        scene.endpoint.faults.inject({ call: 'SendCommand', kind });
        assert.notEqual(await refusal(send(`echo ${kind}`)), 'none', kind);
      }
      scene.endpoint.faults.inject({ call: 'SendCommand', kind: 'answer-stalled' });
      const stalled = connect().send(
        new SendCommandCommand({
          DocumentName: 'AWS-RunShellScript',
          InstanceIds: [WEB],
          Parameters: { commands: ['echo stalled'] },
        }),
        { abortSignal: AbortSignal.timeout(100) },
      );
      assert.equal(await refusal(stalled), 'AbortError');
      await eventually(() => scene.endpoint.record.executions().length === 4, { label: 'all four' });
    });

    it('fails, denies, cuts or delays a call before it acts', async () => {
      await start();
      for (const kind of ['failed', 'denied', 'lost'] as const) {
        scene.endpoint.faults.inject({ call: 'SendCommand', kind });
        assert.notEqual(await refusal(send('true')), 'none', kind);
      }
      scene.endpoint.faults.inject({ kind: 'slow', delayMs: 50 });
      await until('Success', await send('true'));
      assert.equal(scene.endpoint.record.executions().length, 1);
      assert.deepEqual(
        scene.endpoint.record.calls('SendCommand').map(({ outcome }) => outcome),
        ['InternalServerError', 'AccessDeniedException', 'lost', 'ok'],
      );
    });
  });
});
