import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RuneError } from '../../services/shared/errors.js';
import { ExecutionState, RunState } from '../../services/shared/gen/rune/v1/run.js';
import { gate } from '../support/gate.js';
import { runeWorld } from '../support/rune-world.js';
import { type LomScript } from '../support/scripted-lom.js';
import { createEvents, EXECUTION_ID, failure } from './events.js';

/** Says so once something listens for SIGTERM. */
const SAYS_READY =
  "process.on('newListener', (name) => name === 'SIGTERM' && setImmediate(() => console.error('ready')));";

describe('an interrupt', () => {
  const { lomOf, start } = runeWorld();

  /** An execution that ends only when it is cancelled. */
  const untilCancelled: LomScript = (cancelled) => ({
    async *run() {
      const events = createEvents();
      yield events.accepted(2);
      yield events.running('web01');
      yield events.running('web02');
      await cancelled;
      yield events.state(ExecutionState.CANCELLING);
      const startedAt = new Date();
      yield events.outcome('web01', {
        state: RunState.CANCELLED,
        startedAt,
        cancelConfirmed: true,
        error: failure('RUN_CANCELLED', 'Cancelled.', 'web01'),
      });
      yield events.outcome('web02', {
        state: RunState.CANCELLED,
        startedAt,
        cancelConfirmed: false,
        error: failure('RUN_CANCELLED', 'Cancelled.', 'web02'),
      });
      yield events.final(ExecutionState.CANCELLED, { CANCELLED: 2 });
    },
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`${signal} cancels the execution, waits, and says for each node whether the kill was confirmed`, async () => {
      const lom = await lomOf(untilCancelled);
      const process = start(['run', 'tail-log', '--node', 'web01', '--server', lom.address]);
      await process.says('execution 0199aaaa');
      process.child.kill(signal);
      assert.equal(await process.exited, 130);
      assert.equal(lom.cancels[0]?.executionId, EXECUTION_ID);
      assert.match(
        process.err(),
        /cancelling, waiting for the nodes to confirm; press again to leave at once/,
      );
      assert.match(
        process.err(),
        /web01 {2}cancelled.*\n {2}kill confirmed: nothing of it is left on the node/,
      );
      assert.match(process.err(), /web02 {2}cancelled.*\n {2}kill NOT confirmed: look on web02/);
      assert.match(process.err(), /2 cancelled in /);
    });
  }

  it('a second one leaves at once with 3 and names the execution that may go on', async () => {
    const lom = await lomOf(() => ({
      run: untilCancelled(new Promise(() => undefined)).run!,
      cancelExecution: () => new Promise(() => undefined),
    }));
    const process = start(['run', 'tail-log', '--node', 'web01', '--server', lom.address, '-o', 'json']);
    // The document is opened with the first event.
    await process.says('"executionId"');
    process.child.kill('SIGINT');
    await process.says('cancelling');
    process.child.kill('SIGINT');
    assert.equal(await process.exited, 3);
    assert.match(process.err(), new RegExp(`execution ${EXECUTION_ID} may still be running`));
    assert.equal(JSON.parse(process.out()).state, 'EXECUTION_STATE_UNSPECIFIED');
  });

  it('before the execution is accepted cancels it as soon as it is', async () => {
    const acceptance = gate();
    const request = gate();
    const lom = await lomOf((cancelled) => ({
      async *run(...call) {
        request.open();
        await acceptance.opened;
        yield* untilCancelled(cancelled).run!(...call);
      },
    }));
    const process = start(['run', 'tail-log', '--node', 'web01', '--server', lom.address]);
    await request.opened;
    process.child.kill('SIGINT');
    await process.says('cancelling');
    acceptance.open();
    assert.equal(await process.exited, 130);
    assert.equal(lom.cancels.length, 1);
  });

  it('ends what hangs before the run', async () => {
    const lom = await lomOf(untilCancelled);
    const home = await mkdtemp(join(tmpdir(), 'rune-home-'));
    try {
      // Opening a pipe that nobody writes to never returns.
      await mkdir(join(home, 'rune'));
      const pipe = join(home, 'rune', 'config.yaml');
      execFileSync('mkfifo', [pipe]);
      const hook = join(home, 'hook.cjs');
      await writeFile(hook, SAYS_READY);
      const process = start(['run', 'tail-log', '--node', 'web01', '--server', lom.address], {
        env: { XDG_CONFIG_HOME: home, NODE_OPTIONS: `--require ${hook}` },
      });
      await process.says('ready');
      process.child.kill('SIGTERM');
      // Which a shell shows as 130; an exit would wait for the call that hangs.
      assert.equal(await process.exited, 'SIGINT');
      assert.match(process.err(), /Interrupted: nothing ran\./);
      assert.equal(lom.runs.length, 0);
    } finally {
      await rm(home, { recursive: true });
    }
  });

  it('that does not reach the service is told', async () => {
    const refuse = async () => {
      throw new RuneError('EXECUTION_NOT_FOUND', 'There is no such execution.');
    };
    const lom = await lomOf(() => ({
      run: untilCancelled(new Promise(() => undefined)).run!,
      cancelExecution: refuse,
    }));
    const process = start(['run', 'tail-log', '--node', 'web01', '--server', lom.address]);
    await process.says('execution 0199aaaa');
    process.child.kill('SIGINT');
    await process.says('the cancel did not reach the service (There is no such execution.)');
  });
});
