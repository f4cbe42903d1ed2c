import assert from 'node:assert/strict';
import {
  CancelCommandCommand,
  DescribeInstanceInformationCommand,
  ListCommandInvocationsCommand,
  ListCommandsCommand,
  type SendCommandCommandInput,
} from '@aws-sdk/client-ssm';
import { eventually } from '../eventually.js';
import { endpointScene, WEB, DB, FAR, refusal } from './endpoint-scene.js';

describe('the test endpoint for Systems Manager', () => {
  const scene = endpointScene();
  const { start, connect, send, invocation, until } = scene;

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
      assert.deepEqual(scene.endpoint.record.executions(), []);
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
      assert.equal(scene.endpoint.record.executions().length, 3);
    });

    it('keeps what an unreachable instance cannot get until it is back, or the time is over', async () => {
      await start();
      scene.endpoint.instance(WEB).disconnect();
      const [one, other] = [await send('echo back'), await send('true', { InstanceIds: [DB] })];
      await until('Delayed', one);
      await until('Success', other, DB);
      scene.endpoint.instance(WEB).connect();
      await until('Success', one);
      scene.endpoint.instance(WEB).disconnect();
      const late = await send('true', { TimeoutSeconds: 30 });
      await until('Delayed', late);
      scene.endpoint.passTime(30 + 3600);
      const found = await until('TimedOut', late);
      assert.deepEqual([found.StatusDetails, found.ResponseCode], ['DeliveryTimedOut', -1]);
      assert.equal(scene.endpoint.record.executions().length, 2);
    });

    it('says DeliveryTimedOut too of a script that runs while its command expires', async () => {
      await start();
      const id = await send('sleep 300');
      await eventually(() => scene.endpoint.record.executions().length === 1, { label: 'the script' });
      scene.endpoint.passTime(7200);
      const found = await until('TimedOut', id);
      assert.deepEqual(
        [found.StatusDetails, found.ResponseCode, found.ExecutionStartDateTime],
        ['DeliveryTimedOut', -1, ''],
      );
    });

    it('fails what cannot be delivered, and refuses what is gone', async () => {
      await start();
      scene.endpoint.instance(WEB).refuseDelivery();
      const found = await until('Failed', await send('true'));
      assert.deepEqual([found.StatusDetails, found.ResponseCode], ['Undeliverable', -1]);
      scene.endpoint.instance(WEB).terminate();
      assert.equal(await refusal(send('true')), 'InvalidInstanceId');
    });
  });
});
