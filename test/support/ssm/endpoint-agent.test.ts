import assert from 'node:assert/strict';
import {
  CancelCommandCommand,
  GetParameterCommand,
  ListCommandInvocationsCommand,
} from '@aws-sdk/client-ssm';
import { eventually } from '../eventually.js';
import { findProcesses } from '../processes.js';
import { endpointScene, WEB, type Invocation } from './endpoint-scene.js';

describe('the test endpoint for Systems Manager', () => {
  const scene = endpointScene();
  const { start, connect, send, until, invocation } = scene;
  const ran = async (script: string): Promise<Invocation> => {
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
    return scene.endpoint
      .instance(WEB)
      .processes()
      .filter((pid) => all.includes(pid));
  };

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
        scene.endpoint.record
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
      assert.equal(scene.endpoint.instance(WEB).agent.runningMax, 5);
    });

    it('reboots at exit code 194 and executes the script again, its output behind the first', async () => {
      await start();
      const found = await ran(
        'echo "round $$"; [ -e "$0.rebooted" ] && exit 0; touch "$0.rebooted"; exit 194',
      );
      assert.equal(found.Status, 'Success');
      assert.equal(found.StandardOutputContent?.match(/round/g)?.length, 2);
      assert.deepEqual(
        scene.endpoint.record.executions().map(({ attempt }) => attempt),
        [1, 2],
      );
    });

    it('executes again what a reboot cut off, and leaves nothing alive of before', async () => {
      await start();
      const id = await send('[ -e "$0.again" ] && exit 0; touch "$0.again"; setsid sleep 300 & sleep 300');
      await eventually(() => sleeps().length === 2, { label: 'both sleeps' });
      scene.endpoint.instance(WEB).agent.reboot();
      await until('Success', id);
      assert.deepEqual(scene.endpoint.instance(WEB).processes(), []);
      assert.equal(scene.endpoint.record.executions().length, 2);
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
      await eventually(() => scene.endpoint.record.executions().length === 1, { label: 'the script' });
      scene.endpoint.instance(WEB).agent.crash();
      await eventually(() => scene.endpoint.instance(WEB).processes().length === 0, { label: 'its end' });
      await until('InProgress', id);
      scene.endpoint.instance(WEB).agent.restart();
      assert.equal((await until('Success', id)).StandardOutputContent, 'done\n');
    });
  });
});
