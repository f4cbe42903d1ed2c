import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from '../../services/cli/client.js';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { RuneError } from '../../services/shared/errors.js';
import {
  ListExecutionsResponse,
  RerunExecutionResponse,
  SubmitExecutionResponse,
} from '../../services/shared/gen/rune/v1/lom.js';
import { ExecutionState } from '../../services/shared/gen/rune/v1/run.js';
import { recorded, startScriptedLom } from '../support/scripted-lom.js';
import { awaitEnd, printFacts, startFacts } from './client-example.js';
import { createEvents, EXECUTION_ID } from './events.js';

describe('the TypeScript client', () => {
  it('works as its documented example says', async () => {
    const lom = await startScriptedLom(() => ({
      async *run() {
        const events = createEvents();
        yield* [events.accepted(2), events.succeeded('web01', { os: 'Debian' })];
        yield* [events.failed('web02', 'NODE_UNREACHABLE', 'Down.'), events.final(ExecutionState.PARTIAL)];
      },
    }));
    const printed: unknown[][] = [];
    const { log } = console;
    console.log = (...values: unknown[]) => void printed.push(values);
    try {
      assert.deepEqual(await printFacts(lom.address, ['web01', 'web02']), ['web02: NODE_UNREACHABLE']);
    } finally {
      console.log = log;
      await lom.stop();
    }
    assert.deepEqual(printed, [['web01', { os: 'Debian' }]]);
    assert.deepEqual(lom.runs[0]?.targets?.nodes, ['web01', 'web02']);
  });

  it('submits and watches as its documented example says', async () => {
    const events = createEvents();
    const lom = await startScriptedLom(() => ({
      ...recorded([events.accepted(1), events.succeeded('web01'), events.final(ExecutionState.SUCCEEDED)]),
      submitExecution: async () =>
        SubmitExecutionResponse.fromPartial({ execution: { executionId: EXECUTION_ID } }),
    }));
    try {
      assert.equal(await startFacts(lom.address, ['web01'], 'INC-1'), EXECUTION_ID);
      assert.equal(lom.submits[0]?.requestId, 'INC-1');
      assert.equal(await awaitEnd(lom.address, EXECUTION_ID, 2), ExecutionState.SUCCEEDED);
      assert.equal(lom.watches[0]?.fromSeq, 2);
    } finally {
      await lom.stop();
    }
  });

  it('has its example in docs/cli.md, word for word', async () => {
    const example = await readFile(join(packageRoot, 'test', 'cli', 'client-example.ts'), 'utf8');
    const page = await readFile(join(packageRoot, 'docs', 'cli.md'), 'utf8');
    assert.ok(page.includes(example.trim()));
  });

  it('offers every other call with fields left out, and RuneErrors with names', async () => {
    const { getExecution } = recorded([createEvents().accepted(1)]);
    const lom = await startScriptedLom(() => ({
      getExecution,
      listExecutions: async () => ListExecutionsResponse.fromPartial({ nextPageToken: 'more' }),
      rerunExecution: async () => RerunExecutionResponse.fromPartial({ existing: true }),
      getNode: async ({ name }) => {
        throw new RuneError('NODE_NOT_FOUND', `There is no node ${name}.`);
      },
    }));
    const client = createClient({ address: lom.address });
    try {
      assert.equal((await client.listActions()).actions[0]?.action, 'tail-log');
      assert.equal((await client.getAction({ action: 'tail-log' })).action?.version, '1.2.0');
      assert.equal((await client.listNodes({ pageSize: 1 })).nodes[0]?.name, 'web01');
      assert.deepEqual((await client.planExecution({ action: 'tail-log' })).runs, []);
      assert.equal((await client.listExecutions()).nextPageToken, 'more');
      assert.equal((await client.getExecution({ executionId: 'x' })).execution?.action, 'tail-log');
      assert.equal((await client.rerunExecution({ executionId: 'x', onlyFailed: true })).existing, true);
      assert.equal((await client.cancelExecution({ executionId: 'x' })).state, ExecutionState.CANCELLING);
      assert.equal(await client.isServing(), true);
      await assert.rejects(client.getNode({ name: 'web99' }), {
        name: 'NODE_NOT_FOUND',
        message: 'There is no node web99.',
      });
    } finally {
      client.close();
      await lom.stop();
    }
  });
});
