import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { RuneError } from '../../services/shared/errors.js';
import { recordingLogger } from '../support/recording-logger.js';
import { mediatorWith } from '../support/scripted-mediator.js';
import { ended, lost } from '../support/scripted-transport.js';
import { header, succeed, outcomeOf } from './mediate-calls.js';

describe('the log of the mediator', () => {
  const at = async (run: Parameters<typeof mediatorWith>[0]): Promise<Record<string, unknown>[]> => {
    const { logger, lines } = recordingLogger();
    const fields = { runId: randomUUID(), executionId: randomUUID() };
    await outcomeOf(mediatorWith(run, { logger }), fields);
    for (const line of lines) {
      assert.equal(line['node'], 'web01');
      assert.equal(line['run_id'], fields.runId);
      assert.equal(line['execution_id'], fields.executionId);
      assert.equal(line['trace_id'], header.observability?.traceId);
    }
    return lines;
  };

  it('warns of a node that cannot be used, with the error that its caller gets', async () => {
    const [line] = await at(() =>
      Promise.reject(new RuneError('HOST_KEY_CHANGED', 'The key is another one.')),
    );
    assert.equal(line?.['level'], 'warn');
    assert.equal(line['error'], 'HOST_KEY_CHANGED');
    assert.equal(line['error_message'], 'The key is another one.');
    assert.match(String(line['error_fingerprint']), /^[0-9a-f]{16}$/);
  });

  it('warns of a run whose outcome is not known', async () => {
    const [line] = await at(() => Promise.resolve(lost('gone')));
    assert.deepEqual([line?.['level'], line?.['state']], ['warn', 'LOST']);
  });

  it('tells that a plugin failed and nothing of what it said', async () => {
    const lines = await at(async (_command, sink) => {
      await sink.stdout(Buffer.from('{"error":{"message":"the-words-of-the-plugin"}}'));
      return ended(1);
    });
    assert.deepEqual([lines[0]?.['level'], lines[0]?.['error']], ['info', 'PLUGIN_REFUSED_INPUT']);
    assert.doesNotMatch(JSON.stringify(lines), /the-words-of-the-plugin/);
  });

  it('has no line for a success', async () => {
    assert.deepEqual(await at(succeed), []);
  });
});
