import assert from 'node:assert/strict';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { createDispatcher, type Dispatcher } from '../../../services/lom/dispatch/dispatch.js';
import { MEDIATOR_SERVICE } from '../../../services/lom/dispatch/mediated-message.js';
import { loadBundles } from '../../../services/lom/actions/load-bundles.js';
import { ExecutionState, Node, RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { createRpcClient } from '../../../services/shared/rpc/rpc-client.js';
import { eventually } from '../../support/eventually.js';
import { appendedRuns } from '../../support/execution-story.js';
import { freePort } from '../../support/free-port.js';
import { executeRecorded, planOf } from '../../support/recorded-execution.js';
import { recordingLogger } from '../../support/recording-logger.js';
import { startService, type ServiceProcess } from '../../support/service-process.js';
import { makeTempDirectory, type TempDirectory } from '../../support/temp-directory.js';
import { makeTempStore, type TempStore } from '../../support/temp-store.js';
import { makeTestBundle } from '../../support/test-bundle.js';

const { logger } = recordingLogger();

describe('a run that is wanted at least once and whose mediator is killed', () => {
  let directory: TempDirectory;
  let temp: TempStore;
  let dispatcher: Dispatcher;
  let address: string;
  let bundle: string;
  let lmm: ServiceProcess;
  const startMediator = () => startService('lmm', join(directory.path, 'lmm.yaml'));

  before(async () => {
    directory = await makeTempDirectory();
    bundle = await makeTestBundle(directory.path, 'durable');
    address = `127.0.0.1:${await freePort()}`;
    await directory.write({ 'lmm.yaml': stringify({ listen: address, local_enabled: true }) });
    lmm = await startMediator();
    temp = await makeTempStore();
    dispatcher = createDispatcher(
      (at) => createRpcClient(MEDIATOR_SERVICE, { address: at }),
      {
        mediatorConnectTimeoutMs: 5000,
        orphanAfterMs: 60_000,
        streamMarginMs: 60_000,
        ackDelayMs: 10,
        knownForMs: 3000,
      },
      logger,
    );
  });
  after(async () => {
    dispatcher.close();
    await temp.remove();
    await lmm.stop();
    await directory.remove();
  });

  it('runs again under another id on the next mediator, and the node has one line of each attempt', async () => {
    const file = join(directory.path, 'appended');
    const registry = await loadBundles([bundle]);
    const params = { path: file, lines: 20, pause_ms: 50 };
    const plan = planOf(['local'], {
      action: registry.get('append-run'),
      params,
      paramsJson: Buffer.from(JSON.stringify(params)),
      timeoutMs: 60_000,
      connectTimeoutMs: 5000,
      locksNodes: true,
      queueWaitMs: 0,
      retries: { max: 1, delayMs: 100, atLeastOnce: true },
    });
    const node = Node.fromPartial({
      name: 'local',
      transports: ['local'],
      address: 'localhost',
      lockKey: 'l',
    });
    const runs = plan.runs.map((run) => ({ ...run, node, transport: 'local' }));
    const fields = { mediators: [address], settings: { lostAfterMs: 2000, mediatorWaitMs: 10_000 } };
    const execution = await executeRecorded(temp.store, { ...plan, runs }, dispatcher, fields);
    const events = execution.events();
    await eventually(async () => (await appendedRuns(file)).size === 1, { label: 'the first attempt' });
    lmm.kill('SIGKILL');
    await lmm.exited;
    lmm = await startMediator();

    const seen = await events;
    assert.equal(execution.state, ExecutionState.SUCCEEDED);
    const retries = seen.flatMap(({ event }) => (event?.$case === 'retry' ? [event.value] : []));
    assert.deepEqual(
      retries.map(({ outcome, nextAttempt }) => [outcome?.state, nextAttempt]),
      [[RunState.LOST, 2]],
    );
    const ids = new Set(seen.map(({ runId }) => runId).filter((id) => id !== ''));
    assert.equal(ids.size, 2);
    assert.deepEqual(await appendedRuns(file), new Map([...ids].map((id) => [id, 1])));
    const [second] = seen.filter(({ attempt, event }) => attempt === 2 && event?.$case === 'state');
    assert.ok(Number(second?.at) >= Number(retries[0]?.outcome?.stoppedOnNodeBy));
  });
});
