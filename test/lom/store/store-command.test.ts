import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { DatabaseSync } from '@photostructure/sqlite';
import { LOM_SETTINGS } from '../../../services/lom/config.js';
import { openStore } from '../../../services/lom/store/open-store.js';
import { storeCommand } from '../../../services/lom/store/store-command.js';
import { RunResponse, SubmitExecutionRequest } from '../../../services/shared/gen/rune/v1/lom.js';
import { ExecutionState, RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { recordingLogger } from '../../support/recording-logger.js';
import { makeTempDirectory, type TempDirectory } from '../../support/temp-directory.js';
import { create } from './new-execution.js';

const SETTINGS = { storeConnectTimeoutMs: 5_000, storeStatementTimeoutMs: 10_000, storeConnectionsMax: 5 };

function collector(): { stream: Writable; text: () => string } {
  const chunks: string[] = [];
  const stream = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  return { stream, text: () => chunks.join('') };
}

describe('rune-lom store', () => {
  let directory: TempDirectory;
  let path: string;
  let id: string;
  before(async () => {
    directory = await makeTempDirectory();
    path = join(directory.path, 'rune.db');
    const store = await openStore(path, SETTINGS, recordingLogger().logger);
    id = await create(store, {
      nodes: ['web01'],
      request: Buffer.from(
        SubmitExecutionRequest.encode({ ...SubmitExecutionRequest.create(), action: 'noop' }).finish(),
      ),
      event: {
        seq: 1,
        node: '',
        kind: 'execution',
        body: Buffer.from(RunResponse.encode({ ...RunResponse.create(), at: new Date(0) }).finish()),
      },
    });
    const body = Buffer.from(
      RunResponse.encode({
        ...RunResponse.create(),
        node: 'web01',
        event: { $case: 'state', value: RunState.RUNNING },
      }).finish(),
    );
    await store.commit([
      { executionId: id, epoch: 1, events: [{ seq: 2, node: 'web01', kind: 'state', body }], runs: [] },
    ]);
    await store.close();
  });
  after(() => directory.remove());

  const call = async (...argv: string[]): Promise<{ code: number; out: string; err: string }> => {
    const [out, err] = [collector(), collector()];
    const invocation = { argv, env: { LOM_STORE: path }, stdout: out.stream, stderr: err.stream };
    const code = await storeCommand(LOM_SETTINGS, invocation);
    return { code, out: out.text(), err: err.text() };
  };

  it('export writes an execution, its runs and its events, a JSON object a line', async () => {
    const { code, out, err } = await call('export');
    assert.deepEqual([code, err], [0, '']);
    const lines = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      lines.map(({ type }) => type),
      ['execution', 'run', 'event', 'event'],
    );
    const [execution, run, , last] = lines;
    assert.equal(execution?.id, id);
    assert.equal(execution.state, 'EXECUTION_STATE_QUEUED');
    assert.deepEqual((execution.request as { action: string } | undefined)?.action, 'noop');
    assert.deepEqual([run?.executionId, run?.node, run?.state], [id, 'web01', 'RUN_STATE_QUEUED']);
    assert.deepEqual([last?.seq, last?.kind], [2, 'state']);
    assert.equal((last?.event as { state: string } | undefined)?.state, 'RUN_STATE_RUNNING');
  });

  it('check counts what is there, and exits with 1 when something contradicts itself', async () => {
    const good = await call('check');
    assert.deepEqual([good.code, good.err], [0, '']);
    assert.match(good.out, /^executions {2}1, 1 of them unfinished$/m);
    assert.match(good.out, /No fault found\.\n$/);
    const database = new DatabaseSync(path);
    database.exec(`update executions set state = ${ExecutionState.SUCCEEDED}`);
    database.close();
    const bad = await call('check');
    assert.equal(bad.code, 1);
    assert.ok(bad.out.includes(`fault       ${id}: its state is final and it has no end`));
  });

  it('says how it is called, and what is wrong with a store', async () => {
    assert.equal((await call()).code, 2);
    assert.equal((await call('check', 'export')).code, 2);
    assert.equal((await call('repair')).code, 2);
    const help = await call('--help');
    assert.deepEqual([help.code, help.out.startsWith('Usage: rune-lom store check|export')], [0, true]);
    const missing = await call('check', '--config', join(directory.path, 'none.yaml'));
    assert.equal(missing.code, 1);
    assert.match(missing.err, /^rune-lom store: CONFIGURATION_INVALID: .*none\.yaml/);
  });
});
