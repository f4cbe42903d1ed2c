import assert from 'node:assert/strict';
import { join } from 'node:path';
import { createClient, type LomClient } from '../../services/cli/client.js';
import { ExecutionState, RunState } from '../../services/shared/gen/rune/v1/run.js';
import { startBadLinks, type BadLinks } from '../support/bad-link.js';
import { eventually } from '../support/eventually.js';
import { appendedRuns, readStory } from '../support/execution-story.js';
import { findProcesses } from '../support/processes.js';
import { runAction } from '../support/run-action.js';
import { startServicePair, type ServicePair } from '../support/service-pair.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';
import { makeTestBundle } from '../support/test-bundle.js';

const NODES = ['one', 'two'];
const LINES = 200;
/** The link is cut each time that so many more lines came. */
const LINES_A_CUT = 40;
/** Attempts to connect that fail before the link is whole again. */
const REFUSED = 3;

describe('a link between orchestrator and mediator', () => {
  let directory: TempDirectory;
  let relay: BadLinks;
  let services: ServicePair;
  let client: LomClient;
  let appended: string;
  let refuse = 0;

  before(async () => {
    directory = await makeTempDirectory();
    relay = await startBadLinks({
      route() {
        const [host = '', port = ''] = services.lmm.address.split(':');
        return { host, port: Number(port) };
      },
      onLink(link) {
        if (refuse === 0) return;
        refuse -= 1;
        link.destroy();
      },
    });
    services = await startServicePair({
      directory: directory.path,
      nodes: Object.fromEntries(NODES.map((name) => [name, { transport: 'local', lock_key: name }])),
      plugins: [await makeTestBundle(directory.path, 'durable')],
      lom: { mediators: [`127.0.0.1:${relay.port}`] },
      lmm: { local_enabled: true },
    });
    client = createClient({ address: services.lom.address });
    appended = join(directory.path, 'appended');
  });
  after(async () => {
    client.close();
    const processes = [services.lom, services.lmm];
    for (const process of processes) process.kill('SIGKILL');
    await Promise.all(processes.map((process) => process.exited));
    await relay.close();
    await directory.remove();
  });

  const cut = (): void => {
    refuse = REFUSED;
    for (const link of relay.links()) link.destroy();
  };
  const request = (lines: number) => ({
    action: 'append-run',
    targets: { nodes: NODES },
    params: { path: appended, lines, pause_ms: 10 },
  });

  it('that is cut again and again costs a run no line of its log and nothing of its outcome', async () => {
    let lines = 0;
    let cuts = 0;
    const { events } = await runAction(client, request(LINES), ({ event }) => {
      if (event?.$case === 'log') lines += event.value.lines.length;
      if (lines < (cuts + 1) * LINES_A_CUT) return;
      cuts += 1;
      cut();
    });
    assert.ok(cuts > 2, `${cuts} cuts`);
    const { state, outcomes, logs } = readStory(events, NODES.length);
    assert.equal(state, ExecutionState.SUCCEEDED);
    const expected = Array.from({ length: LINES }, (_line, index) => `line ${index + 1}`);
    const counts = await appendedRuns(appended);
    for (const runId of outcomes.keys()) {
      assert.deepEqual(logs.get(runId), expected);
      assert.equal(counts.get(runId), 1);
    }
  });

  it('that is cut while a run ends brings its outcome afterwards', async () => {
    let hit = false;
    const { events } = await runAction(client, request(1), ({ event }) => {
      if (hit || event?.$case !== 'log') return;
      hit = true;
      cut();
    });
    const { state } = readStory(events, NODES.length);
    assert.equal(state, ExecutionState.SUCCEEDED);
  });

  it('that swallows everything while a run ends brings the rest of it once it is given up', async () => {
    let swallowed: Promise<void> | undefined;
    const { events } = await runAction(client, request(LINES_A_CUT), ({ runId, event }) => {
      if (swallowed !== undefined || event?.$case !== 'log') return;
      for (const link of relay.links()) link.stall(Infinity);
      swallowed = eventually(() => findProcesses(runId).length === 0, { label: 'the end of the run' }).then(
        cut,
      );
    });
    await swallowed;
    const { state, outcomes, logs } = readStory(events, NODES.length);
    assert.equal(state, ExecutionState.SUCCEEDED);
    for (const runId of outcomes.keys()) assert.equal(logs.get(runId)?.length, LINES_A_CUT);
  });

  it('that is cut when an execution is to stop lets it stop afterwards', async () => {
    let asked: Promise<unknown> | undefined;
    const { events } = await runAction(client, request(100_000), ({ executionId, event }) => {
      if (asked !== undefined || event?.$case !== 'log') return;
      cut();
      asked = client.cancelExecution({ executionId, reason: 'enough' });
    });
    await asked;
    const { state, outcomes } = readStory(events, NODES.length);
    assert.equal(state, ExecutionState.CANCELLED);
    for (const outcome of outcomes.values()) {
      assert.equal(outcome.state, RunState.CANCELLED);
      assert.equal(outcome.cancelConfirmed, true);
    }
  });
});
