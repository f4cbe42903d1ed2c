import assert from 'node:assert/strict';
import { createClient } from '../../services/cli/client.js';
import { RuneError } from '../../services/shared/errors.js';
import type { RunResponse } from '../../services/shared/gen/rune/v1/lom.js';
import { ExecutionState, RunState, StopReason } from '../../services/shared/gen/rune/v1/run.js';
import { assertNoGap } from '../support/execution-events.js';
import { eventually } from '../support/eventually.js';
import { findProcesses } from '../support/processes.js';
import { residentBytes } from '../support/resident-bytes.js';
import { runAction } from '../support/run-action.js';
import { rejectionOf } from '../support/thrown-by.js';
import { startWorld, type World } from '../support/world.js';

/** Far less than the 500 MB that pass, and more than what a garbage collector leaves lying for a while at full speed. */
const RSS_GROWTH_BYTES_MAX = 128 * 1024 ** 2;

describe('when things break', () => {
  let world: World | undefined;

  const start = async (options: Parameters<typeof startWorld>[0] = {}): Promise<World> =>
    (world = await startWorld({ ...options, testActionsOnly: true }));
  afterEach(async () => {
    await world?.stop();
    world = undefined;
  });

  const sleeping = { action: 'sleep-for', targets: { nodes: ['user'] } };

  /** Starts a sleeping run and hands over its first log event, while the stream goes on. */
  const whileSleeping = (
    { client }: World,
    act: (event: RunResponse) => void,
  ): ReturnType<typeof runAction> => {
    let acted = false;
    return runAction(client, sleeping, (event) => {
      if (acted || event.event?.$case !== 'log') return;
      acted = true;
      act(event);
    });
  };

  it('a mediator killed in mid-run is a lost run once another process answers there, and the node ends the plugin by itself', async () => {
    const { lmm, client, restart } = await start();
    let runId = '';
    let again: Promise<void> | undefined;
    const { state, outcomes } = await whileSleeping(world as World, (event) => {
      runId = event.runId;
      lmm.kill('SIGKILL');
      again = restart('lmm');
    });
    const outcome = outcomes.get('user');
    assert.equal(outcome?.state, RunState.LOST);
    assert.equal(outcome?.error?.errorData?.name, 'OUTCOME_UNKNOWN');
    assert.ok((outcome?.stoppedOnNodeBy?.getTime() ?? 0) > Date.now());
    assert.equal(state, ExecutionState.FAILED);
    await eventually(() => findProcesses(runId).length === 0, {
      label: 'the end of the plugin on the node',
      timeoutMs: 30_000,
    });
    await again;
    const next = await runAction(client, { action: 'show-context', targets: { nodes: ['user'] } });
    assert.equal(next.outcomes.get('user')?.state, RunState.SUCCEEDED);
  });

  it('an orchestrator killed in mid-run leaves a run that its mediator cancels after orphan_after', async () => {
    const { lom } = await start({ lom: { orphan_after: '1s' } });
    let runId = '';
    const error = await rejectionOf(
      whileSleeping(world as World, (event) => {
        runId = event.runId;
        lom.kill('SIGKILL');
      }),
    );
    assert.equal(error.name, 'SERVICE_UNREACHABLE');
    await eventually(() => findProcesses(runId).length === 0, {
      label: 'the end of the plugin on the node',
      timeoutMs: 30_000,
    });
  });

  it('a node whose sshd dies in mid-run is a lost run', async () => {
    const { sshd } = await start();
    const { outcomes } = await whileSleeping(world as World, () => {
      for (const pid of sshd.sessionPids()) process.kill(pid, 'SIGKILL');
    });
    assert.equal(outcomes.get('user')?.state, RunState.LOST);
    assert.match(outcomes.get('user')?.error?.errorData?.message ?? '', /link|connection/);
  });

  it('a reader that stalls on 500 MB of log costs little memory anywhere, and holds up nothing', async () => {
    const { lom, lmm, client } = await start({ lmm: { log_max: '4GiB' } });
    const request = { action: 'flood-log', targets: { nodes: ['user'] }, params: { mebibytes: 500 } };
    const watcher = client.run(request);
    let executionId = '';
    for (;;) {
      const { value, done } = await watcher.next();
      assert.ok(!done);
      executionId = value.executionId;
      if (value.event?.$case === 'log') break;
    }
    const before = [lom, lmm].map(({ pid }) => residentBytes(pid));
    const most = [...before];
    await eventually(
      async () => {
        [lom, lmm].forEach(
          ({ pid }, index) => (most[index] = Math.max(most[index] ?? 0, residentBytes(pid))),
        );
        const { execution } = await client.getExecution({ executionId });
        return execution?.state === ExecutionState.SUCCEEDED;
      },
      { label: 'the end of the execution', timeoutMs: 60_000 },
    );
    for (const [index, name] of ['lom', 'lmm'].entries()) {
      const growth = (most[index] ?? 0) - (before[index] ?? 0);
      assert.ok(growth <= RSS_GROWTH_BYTES_MAX, `${name} grew by ${Math.round(growth / 1024 ** 2)} MiB`);
    }
    const rest: RunResponse[] = [];
    for await (const event of watcher) rest.push(event);
    assert.deepEqual(
      rest.slice(-3).map(({ event }) => event?.$case),
      ['logTruncated', 'outcome', 'execution'],
    );
  });

  it('a mediator that is told to stop lets a run end within the grace, refuses new ones, and leaves', async () => {
    const { lmm, client } = await start({ lmm: { shutdown_grace: '20s' } });
    let ended: Promise<number | string> | undefined;
    const { outcomes } = await runAction(
      client,
      { action: 'sleep-for', targets: { nodes: ['user'] }, params: { seconds: 2 } },
      (event) => {
        if (event.event?.$case === 'log') ended ??= lmm.stop();
      },
    );
    assert.equal(outcomes.get('user')?.state, RunState.SUCCEEDED);
    assert.equal(await ended, 0);
  });

  it('a mediator whose grace is over stops its runs, waits for the confirmed kill, and leaves', async () => {
    const { lmm } = await start({ lmm: { shutdown_grace: '1s' } });
    let runId = '';
    const { outcomes } = await whileSleeping(world as World, (event) => {
      runId = event.runId;
      lmm.kill('SIGTERM');
    });
    assert.equal(outcomes.get('user')?.state, RunState.CANCELLED);
    assert.equal(outcomes.get('user')?.stopReason, StopReason.SHUTDOWN);
    assert.equal(outcomes.get('user')?.cancelConfirmed, true);
    assert.deepEqual(findProcesses(runId), []);
    assert.equal(await lmm.exited, 0);
  });

  it('an orchestrator that is told to stop finishes what it accepted and refuses what is new', async () => {
    const { lom, client } = await start({ lom: { shutdown_grace: '20s' } });
    let ended: Promise<number | string> | undefined;
    let refused: Promise<RuneError> | undefined;
    const { state } = await runAction(
      client,
      { action: 'sleep-for', targets: { nodes: ['user'] }, params: { seconds: 2 } },
      (event) => {
        if (event.event?.$case !== 'log' || ended !== undefined) return;
        ended = lom.stop();
        const other = createClient({ address: lom.address });
        refused = eventually(
          async () => {
            const error = await rejectionOf(other.listActions({}, { timeoutMs: 2000 }));
            return error.row.grpc === 'UNAVAILABLE' ? error : false;
          },
          { label: 'the refusal' },
        ).finally(() => other.close());
      },
    );
    assert.equal(state, ExecutionState.SUCCEEDED);
    assert.ok((await refused) instanceof RuneError);
    assert.equal(await ended, 0);
  });

  it('an orchestrator that may not wait leaves what it accepted to the next process, which goes on', async () => {
    const { lom, client, restart } = await start({ lom: { shutdown_grace: '0s' } });
    const request = { action: 'sleep-for', targets: { nodes: ['user'] }, params: { seconds: 3 } };
    const seen: RunResponse[] = [];
    const error = await rejectionOf(
      runAction(client, request, (event) => {
        seen.push(event);
        if (event.event?.$case === 'log') lom.kill('SIGTERM');
      }),
    );
    assert.equal(error.name, 'SERVICE_SHUTTING_DOWN');
    assert.equal(await lom.exited, 0);
    await restart('lom');
    const [{ executionId, seq }] = seen.slice(-1) as [RunResponse];
    for await (const event of client.watchExecution({ executionId, fromSeq: seq + 1 })) seen.push(event);
    assertNoGap(seen);
    const last = seen.at(-1)?.event;
    assert.ok(last?.$case === 'execution');
    assert.equal(last.value.state, ExecutionState.SUCCEEDED);
  });

  it('an orchestrator killed in mid-run goes on where it was once it is started again', async () => {
    const { lom, client, restart } = await start();
    const request = { action: 'sleep-for', targets: { nodes: ['user'] }, params: { seconds: 3 } };
    const seen: RunResponse[] = [];
    await rejectionOf(
      runAction(client, request, (event) => {
        seen.push(event);
        if (event.event?.$case === 'log') lom.kill('SIGKILL');
      }),
    );
    await restart('lom');
    const [{ executionId, seq }] = seen.slice(-1) as [RunResponse];
    for await (const event of client.watchExecution({ executionId, fromSeq: seq + 1 })) seen.push(event);
    assertNoGap(seen);
    assert.equal(seen.filter(({ event }) => event?.$case === 'outcome').length, 1);
    const { execution } = await client.getExecution({ executionId });
    assert.equal(execution?.state, ExecutionState.SUCCEEDED);
  });

  it('a second signal ends a service at once', async () => {
    const { lom } = await start({ lom: { shutdown_grace: '1h' } });
    await rejectionOf(
      whileSleeping(world as World, () => {
        lom.kill('SIGTERM');
        void eventually(() => lom.log.some((line) => line.includes('"stopping"')), {
          label: 'the stop',
        }).then(() => lom.kill('SIGTERM'));
      }),
    );
    assert.equal(await lom.exited, 143);
  });
});
