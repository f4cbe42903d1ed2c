import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import {
  CancelCommandCommand,
  DescribeInstanceInformationCommand,
  GetCommandInvocationCommand,
  GetParameterCommand,
  ListCommandInvocationsCommand,
  ListCommandsCommand,
  SendCommandCommand,
  SSMClient,
  type GetCommandInvocationCommandOutput,
  type SendCommandCommandInput,
} from '@aws-sdk/client-ssm';
import { eventually } from '../eventually.js';
import { findProcesses } from '../processes.js';
import { makeTempDirectory } from '../temp-directory.js';
import { startSsmEndpoint, type SsmEndpoint, type SsmEndpointOptions } from './ssm-endpoint.js';

const WEB = 'i-0123456789abcdef0';
const DB = 'i-0123456789abcdef1';
const FAR = 'i-0123456789abcdef2';
const ROLE = 'arn:aws:iam::210987654321:role/runner';
const OWN_DOCUMENT = {
  schemaVersion: '2.2',
  parameters: {
    Payload: { type: 'String', allowedPattern: '[A-Za-z0-9+/=]*' },
    Seconds: { type: 'String', default: '60', allowedPattern: '[0-9]+' },
  },
  mainSteps: [
    {
      action: 'aws:runShellScript',
      name: 'run',
      inputs: { runCommand: ["printf %s '{{ Payload }}' | base64 -d | sh"], timeoutSeconds: '{{ Seconds }}' },
    },
  ],
};

describe('the test endpoint for Systems Manager', () => {
  let endpoint: SsmEndpoint;
  const clients = new Set<SSMClient>();

  const start = async (options: Partial<SsmEndpointOptions> = {}): Promise<void> => {
    endpoint = await startSsmEndpoint({
      instances: { [WEB]: { tags: { role: 'web' } }, [DB]: {}, [FAR]: { region: 'eu-west-1' } },
      regions: ['us-east-1', 'eu-west-1'],
      documents: { 'Own-Run': OWN_DOCUMENT },
      agentSecondMs: 40,
      ...options,
    });
  };
  const track = (client: SSMClient): SSMClient => {
    clients.add(client);
    return client;
  };
  const connect = (options: ConstructorParameters<typeof SSMClient>[0] = {}): SSMClient => {
    return track(
      new SSMClient({
        endpoint: endpoint.url,
        region: endpoint.region,
        credentials: endpoint.credentials,
        maxAttempts: 1,
        ...options,
      }),
    );
  };
  const send = async (
    script: string,
    fields: Partial<SendCommandCommandInput> = {},
    client = connect(),
  ): Promise<string> => {
    const { Command } = await client.send(
      new SendCommandCommand({
        DocumentName: 'AWS-RunShellScript',
        Parameters: { commands: [script] },
        ...(fields.Targets === undefined ? { InstanceIds: [WEB] } : {}),
        ...fields,
      }),
    );
    return Command?.CommandId ?? '';
  };
  const invocation = (
    CommandId: string,
    InstanceId = WEB,
    client = connect(),
  ): Promise<GetCommandInvocationCommandOutput> =>
    client.send(new GetCommandInvocationCommand({ CommandId, InstanceId }));
  const until = (
    status: string,
    id: string,
    instanceId = WEB,
  ): Promise<GetCommandInvocationCommandOutput> => {
    const client = connect();
    return eventually(
      async () => {
        const found = await invocation(id, instanceId, client);
        return found.Status === status ? found : false;
      },
      { label: status },
    );
  };
  const ran = async (script: string): Promise<GetCommandInvocationCommandOutput> => {
    const id = await send(script);
    const client = connect();
    return eventually(
      async () => {
        const found = await invocation(id, WEB, client);
        return ['Pending', 'InProgress'].includes(String(found.Status)) ? false : found;
      },
      { label: 'the end' },
    );
  };
  const sleeps = (): number[] => {
    const all = findProcesses('sleep\x00300');
    return endpoint
      .instance(WEB)
      .processes()
      .filter((pid) => all.includes(pid));
  };
  const refusal = async (call: Promise<unknown>): Promise<string> => {
    try {
      await call;
    } catch (error) {
      return (error as Error).name;
    }
    return 'none';
  };

  before(() => {
    process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
  });
  afterEach(async () => {
    for (const client of clients) client.destroy();
    clients.clear();
    await endpoint.stop();
  });

  describe('as the agent', () => {
    it('runs a script from a file of its own, with its environment and nothing on stdin', async () => {
      await start();
      const found = await ran(
        '#!/bin/bash\nstat -c %a "$0"; cat; pwd; echo "$AWS_SSM_INSTANCE_ID $AWS_SSM_REGION_NAME ${HOME-none} $SSM_COMMAND_ID"; ps -o pgid= -p $$ | tr -d " "; echo $$; echo oops >&2',
      );
      const [mode, cwd, words, group, pid] = (found.StandardOutputContent ?? '').split('\n');
      assert.deepEqual([mode, cwd, group], ['700', '/usr/bin', pid]);
      assert.equal(words, `${WEB} us-east-1 none ${found.CommandId}`);
      assert.equal(found.StandardErrorContent, 'oops\n');
      assert.deepEqual([found.Status, found.StatusDetails, found.ResponseCode], ['Success', 'Success', 0]);
      assert.deepEqual(
        endpoint.record
          .executions()
          .map(({ instanceId, commandId, attempt }) => [instanceId, commandId, attempt]),
        [[WEB, found.CommandId, 1]],
      );
    });

    it('reports exit codes, with what 168 and 169 add, and a death by signal as -1', async () => {
      await start();
      const seen = [];
      for (const script of ['exit 3', 'echo e >&2; exit 168', 'exit 169', 'kill -TERM $$', 'exit 137']) {
        const { Status, ResponseCode, StandardErrorContent } = await ran(script);
        seen.push([Status, ResponseCode, (StandardErrorContent ?? '').split('\n')[0]]);
      }
      assert.deepEqual(seen, [
        ['Failed', 3, 'failed to run commands: exit status 3'],
        ['Success', 168, ''],
        ['Failed', 169, 'failed to run commands: exit status 169'],
        ['Failed', -1, 'failed to run commands: signal: SIGTERM'],
        ['TimedOut', 137, ''],
      ]);
    });

    it('cuts stdout at 24,000 bytes, stderr at 8,000, and both together at 2,500 characters in lists', async () => {
      await start();
      const found = await ran(
        'head -c 30000 /dev/zero | tr "\\0" o; head -c 30000 /dev/zero | tr "\\0" e >&2',
      );
      assert.equal(found.StandardOutputContent, `${'o'.repeat(23_980)}--output truncated--`);
      assert.equal(found.StandardErrorContent, `${'e'.repeat(7980)}--output truncated--`);
      const { CommandInvocations: [listed] = [] } = await eventually(
        async () => {
          const page = await connect().send(
            new ListCommandInvocationsCommand({ CommandId: found.CommandId, Details: true }),
          );
          return (page.CommandInvocations ?? []).length > 0 && page;
        },
        { label: 'the list' },
      );
      const output = listed?.CommandPlugins?.[0]?.Output ?? '';
      assert.ok(output.length <= 2500 && output.includes('--ERROR--'), output.slice(-100));
    });

    it('waits for everybody who holds the output, and no longer than executionTimeout', async () => {
      await start();
      assert.equal((await ran('(sleep 0.2; echo later) &')).StandardOutputContent, 'later\n');
      const id = await send('', {
        Parameters: { commands: ['echo before; sleep 300'], executionTimeout: ['5'] },
      });
      const found = await until('TimedOut', id);
      assert.deepEqual(
        [found.StatusDetails, found.ResponseCode, found.StandardOutputContent],
        ['ExecutionTimedOut', 137, 'before\n'],
      );
    });

    it('kills the script’s own process group alone, on cancel', async () => {
      await start();
      const id = await send('sleep 300 & setsid sleep 300 </dev/null >/dev/null 2>&1 & wait');
      await eventually(() => sleeps().length === 2, { label: 'both sleeps' });
      await eventually(() => connect().send(new CancelCommandCommand({ CommandId: id })), {
        label: 'the cancel',
      });
      const found = await until('Cancelled', id);
      assert.equal(found.ResponseCode, 137);
      await eventually(() => sleeps().length === 1, { label: 'the end of one sleep' });
    });

    it('runs five scripts at a time on an instance', async () => {
      await start();
      const ids = await Promise.all(Array.from({ length: 8 }, () => send('sleep 0.2')));
      for (const id of ids) await until('Success', id);
      assert.equal(endpoint.instance(WEB).agent.runningMax, 5);
    });

    it('reboots at exit code 194 and executes the script again, its output behind the first', async () => {
      await start();
      const found = await ran(
        'echo "round $$"; [ -e "$0.rebooted" ] && exit 0; touch "$0.rebooted"; exit 194',
      );
      assert.equal(found.Status, 'Success');
      assert.equal(found.StandardOutputContent?.match(/round/g)?.length, 2);
      assert.deepEqual(
        endpoint.record.executions().map(({ attempt }) => attempt),
        [1, 2],
      );
    });

    it('executes again what a reboot cut off, and leaves nothing alive of before', async () => {
      await start();
      const id = await send('[ -e "$0.again" ] && exit 0; touch "$0.again"; setsid sleep 300 & sleep 300');
      await eventually(() => sleeps().length === 2, { label: 'both sleeps' });
      endpoint.instance(WEB).agent.reboot();
      await until('Success', id);
      assert.deepEqual(endpoint.instance(WEB).processes(), []);
      assert.equal(endpoint.record.executions().length, 2);
    });

    it('puts values of Parameter Store into a script, but no secret one', async () => {
      await start({
        parameters: {
          plain: { type: 'String', value: 'open' },
          hidden: { type: 'SecureString', value: 'sesame' },
        },
      });
      assert.equal((await ran('echo {{ssm:plain}}')).StandardOutputContent, 'open\n');
      assert.equal((await ran('echo {{ssm:hidden}}')).Status, 'Failed');
      const { Parameter } = await connect().send(
        new GetParameterCommand({ Name: 'hidden', WithDecryption: true }),
      );
      assert.equal(Parameter?.Value, 'sesame');
    });

    it('stays silent after it crashed, and reports once it is back', async () => {
      await start();
      const id = await send('sleep 0.1; echo done');
      await eventually(() => endpoint.record.executions().length === 1, { label: 'the script' });
      endpoint.instance(WEB).agent.crash();
      await eventually(() => endpoint.instance(WEB).processes().length === 0, { label: 'its end' });
      await until('InProgress', id);
      endpoint.instance(WEB).agent.restart();
      assert.equal((await until('Success', id)).StandardOutputContent, 'done\n');
    });
  });

  describe('as the service', () => {
    it('refuses what the service refuses', async () => {
      await start();
      const ids = Array.from({ length: 51 }, (_, index) => `i-${String(index).padStart(17, '0')}`);
      const commands = (text: string): SendCommandCommandInput['Parameters'] => ({ commands: [text] });
      const cases: [string, Partial<SendCommandCommandInput>][] = [
        ['ValidationException', { InstanceIds: ids }],
        ['ValidationException', { Comment: 'x'.repeat(101) }],
        ['ValidationException', { TimeoutSeconds: 29 }],
        ['ValidationException', { MaxConcurrency: 'all' }],
        ['ValidationException', { InstanceIds: ['web01'] }],
        ['ValidationException', { InstanceIds: [] }],
        ['InvalidInstanceId', { InstanceIds: [WEB, 'i-99999999999999999'] }],
        ['InvalidInstanceId', { InstanceIds: [FAR] }],
        ['InvalidDocument', { DocumentName: 'Nobody-Knows' }],
        ['InvalidParameters', { Parameters: {} }],
        ['InvalidParameters', { Parameters: { ...commands('true'), executionTimeout: ['0'] } }],
        ['InvalidParameters', { Parameters: { ...commands('true'), other: ['x'] } }],
        ['InvalidParameters', { DocumentName: 'Own-Run', Parameters: { Payload: ['$(id)'] } }],
        ['MaxDocumentSizeExceeded', { Parameters: commands('x'.repeat(65_536)) }],
      ];
      for (const [expected, fields] of cases)
        assert.equal(await refusal(send('true', fields)), expected, JSON.stringify(fields).slice(0, 80));
      assert.deepEqual(endpoint.record.executions(), []);
    });

    it('puts typed parameters into a document of one’s own', async () => {
      await start();
      const id = await send('', {
        DocumentName: 'Own-Run',
        Parameters: { Payload: [Buffer.from('echo own').toString('base64')] },
      });
      const found = await until('Success', id);
      assert.deepEqual([found.StandardOutputContent, found.PluginName], ['own\n', 'run']);
    });

    it('hides a new command for a while from every read', async () => {
      await start({ hiddenMs: 10_000 });
      const id = await send('true');
      const client = connect();
      assert.equal(await refusal(invocation(id)), 'InvocationDoesNotExist');
      assert.equal(
        await refusal(client.send(new CancelCommandCommand({ CommandId: id }))),
        'InvalidCommandId',
      );
      assert.deepEqual((await client.send(new ListCommandsCommand({}))).Commands, []);
      const listed = await client.send(new ListCommandInvocationsCommand({ CommandId: id }));
      assert.deepEqual(listed.CommandInvocations, []);
    });

    it('lists commands newest first, in pages, by status and instance', async () => {
      await start({ hiddenMs: 0 });
      for (const Comment of ['first', 'second', 'third'])
        await until('Success', await send('true', { Comment }));
      const client = connect();
      const comments: unknown[] = [];
      let NextToken: string | undefined;
      do {
        const page = await client.send(
          new ListCommandsCommand({
            MaxResults: 2,
            InstanceId: WEB,
            ...(NextToken === undefined ? {} : { NextToken }),
          }),
        );
        comments.push(page.Commands?.map(({ Comment }) => Comment));
        NextToken = page.NextToken;
      } while (NextToken !== undefined);
      assert.deepEqual(comments, [['third', 'second'], ['first']]);
      const failed = await client.send(
        new ListCommandsCommand({ Filters: [{ key: 'Status', value: 'Failed' }] }),
      );
      assert.deepEqual(failed.Commands, []);
    });

    it('finds instances by tag, and sends to them', async () => {
      await start();
      const client = connect();
      const { InstanceInformationList } = await client.send(
        new DescribeInstanceInformationCommand({ Filters: [{ Key: 'tag:role', Values: ['web'] }] }),
      );
      assert.deepEqual(
        InstanceInformationList?.map(({ InstanceId, PingStatus }) => [InstanceId, PingStatus]),
        [[WEB, 'Online']],
      );
      await until('Success', await send('true', { Targets: [{ Key: 'tag:role', Values: ['web'] }] }));
    });

    it('stops after MaxErrors, and keeps to MaxConcurrency', async () => {
      await start();
      const fields = { InstanceIds: [WEB, DB], MaxConcurrency: '1' };
      const stopped = await send('exit 1', fields);
      assert.equal((await until('Cancelled', stopped, DB)).StatusDetails, 'Terminated');
      const all = await send('exit 1', { ...fields, MaxErrors: '100%' });
      await until('Failed', all, DB);
      assert.equal(endpoint.record.executions().length, 3);
    });

    it('keeps what an unreachable instance cannot get until it is back, or the time is over', async () => {
      await start();
      endpoint.instance(WEB).disconnect();
      const [one, other] = [await send('echo back'), await send('true', { InstanceIds: [DB] })];
      await until('Delayed', one);
      await until('Success', other, DB);
      endpoint.instance(WEB).connect();
      await until('Success', one);
      endpoint.instance(WEB).disconnect();
      const late = await send('true', { TimeoutSeconds: 30 });
      await until('Delayed', late);
      endpoint.passTime(30 + 3600);
      const found = await until('TimedOut', late);
      assert.deepEqual([found.StatusDetails, found.ResponseCode], ['DeliveryTimedOut', -1]);
      assert.equal(endpoint.record.executions().length, 2);
    });

    it('says DeliveryTimedOut too of a script that runs while its command expires', async () => {
      await start();
      const id = await send('sleep 300');
      await eventually(() => endpoint.record.executions().length === 1, { label: 'the script' });
      endpoint.passTime(7200);
      const found = await until('TimedOut', id);
      assert.deepEqual(
        [found.StatusDetails, found.ResponseCode, found.ExecutionStartDateTime],
        ['DeliveryTimedOut', -1, ''],
      );
    });

    it('fails what cannot be delivered, and refuses what is gone', async () => {
      await start();
      endpoint.instance(WEB).refuseDelivery();
      const found = await until('Failed', await send('true'));
      assert.deepEqual([found.StatusDetails, found.ResponseCode], ['Undeliverable', -1]);
      endpoint.instance(WEB).terminate();
      assert.equal(await refusal(send('true')), 'InvalidInstanceId');
    });
  });

  describe('as the gate', () => {
    it('knows a wrong secret, region and date, a changed body and a session that is over', async () => {
      await start();
      const { accessKeyId } = endpoint.credentials;
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
      assert.equal(await list({ credentials: endpoint.makeSession(60) }), 'none');
      assert.equal(await list({ credentials: endpoint.makeSession(0) }), 'ExpiredTokenException');
      const { accessKeyId: id, secretAccessKey } = endpoint.makeSession(60);
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
      const unsigned = await fetch(endpoint.url, {
        method: 'POST',
        headers: { 'x-amz-target': 'AmazonSSM.ListCommands' },
        body: '{}',
      });
      assert.deepEqual(
        [unsigned.status, ((await unsigned.json()) as { __type: string }).__type],
        [400, 'MissingAuthenticationTokenException'],
      );
      assert.deepEqual(endpoint.record.executions(), []);
    });

    it('gives the session of a granted role what its account has, and nothing of a denied one', async () => {
      await start({
        instances: { [WEB]: {}, [DB]: { account: '210987654321' } },
        roles: { [`${ROLE}-granted`]: 'granted', [`${ROLE}-denied`]: 'denied' },
      });
      const directory = await makeTempDirectory();
      const { accessKeyId, secretAccessKey } = endpoint.credentials;
      const roleOf = (name: string): string =>
        `[profile ${name}]\nrole_arn = ${ROLE}-${name}\nsource_profile = base\n`;
      await directory.write({
        config: `[profile base]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n${roleOf('granted')}${roleOf('denied')}`,
      });
      const settings = {
        AWS_CONFIG_FILE: join(directory.path, 'config'),
        AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
        AWS_ENDPOINT_URL_STS: endpoint.url,
        AWS_REGION: endpoint.region,
      };
      Object.assign(process.env, settings);
      try {
        const through = (profile: string): SSMClient =>
          track(new SSMClient({ endpoint: endpoint.url, region: endpoint.region, profile, maxAttempts: 1 }));
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
      const bytes = endpoint.object(
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
      assert.ok(endpoint.record.peakRate('ListCommands') >= 3);
      endpoint.faults.inject({ call: 'SendCommand', kind: 'throttled', times: 2 });
      assert.deepEqual(
        [await refusal(send('true')), await refusal(send('true')), await refusal(send('true'))],
        ['ThrottlingException', 'ThrottlingException', 'none'],
      );
    });

    it('loses, spoils or withholds the answer to a command that it accepted', async () => {
      await start();
      for (const kind of ['answer-lost', 'answer-failed', 'answer-garbled'] as const) {
        endpoint.faults.inject({ call: 'SendCommand', kind });
        assert.notEqual(await refusal(send(`echo ${kind}`)), 'none', kind);
      }
      endpoint.faults.inject({ call: 'SendCommand', kind: 'answer-stalled' });
      const stalled = connect().send(
        new SendCommandCommand({
          DocumentName: 'AWS-RunShellScript',
          InstanceIds: [WEB],
          Parameters: { commands: ['echo stalled'] },
        }),
        { abortSignal: AbortSignal.timeout(100) },
      );
      assert.equal(await refusal(stalled), 'AbortError');
      await eventually(() => endpoint.record.executions().length === 4, { label: 'all four' });
    });

    it('fails, denies, cuts or delays a call before it acts', async () => {
      await start();
      for (const kind of ['failed', 'denied', 'lost'] as const) {
        endpoint.faults.inject({ call: 'SendCommand', kind });
        assert.notEqual(await refusal(send('true')), 'none', kind);
      }
      endpoint.faults.inject({ kind: 'slow', delayMs: 50 });
      await until('Success', await send('true'));
      assert.equal(endpoint.record.executions().length, 1);
      assert.deepEqual(
        endpoint.record.calls('SendCommand').map(({ outcome }) => outcome),
        ['InternalServerError', 'AccessDeniedException', 'lost', 'ok'],
      );
    });
  });
});
