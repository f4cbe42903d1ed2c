import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { isFinal } from '../../../services/shared/messages/is-final.js';
import { RuneError } from '../../../services/shared/errors.js';
import { ExecutionState, RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { eventually } from '../../support/eventually.js';
import { assertNoGap, outcomeOf, outcomesOf, statesOf } from '../../support/execution-events.js';
import { gate } from '../../support/gate.js';
import {
  executeRecorded,
  handOver,
  planOf,
  recordExecution,
  resumeExecution,
  takeOver,
} from '../../support/recorded-execution.js';
import {
  abortOf,
  accepted,
  ended,
  running,
  scriptedMediators,
  succeed,
  type Script,
} from '../../support/scripted-mediators.js';
import { tempStore } from '../../support/temp-store.js';

describe('an execution that has a new owner', () => {
  const temp = tempStore();

  it('goes on: ended runs stay, sent ones are found, the others are sent', async () => {
    const start: Script = async function* (node, _identity, signal) {
      if (node === 'ended') return yield* succeed();
      yield accepted;
      yield running;
      await abortOf(signal);
      throw new RuneError('CALL_CANCELLED', 'The call was cancelled.');
    };
    const plan = planOf(['ended', 'sent', 'waiting'], { maxParallel: 1 });
    const first = scriptedMediators({ start });
    const old = await executeRecorded(temp.store, plan, first);
    await eventually(() => first.starts.length === 2 && first.acknowledged.length === 1, {
      label: 'two runs',
    });
    const record = await handOver(temp.store, old);
    assert.equal(record.epoch, 2);
    const attach: Script = async function* () {
      yield ended(RunState.SUCCEEDED);
    };
    const second = scriptedMediators({ start: succeed, attach });
    const execution = await resumeExecution(temp.store, record, plan, second);
    const events = await execution.events();
    assert.equal(execution.state, ExecutionState.SUCCEEDED);
    assertNoGap(events);
    assert.equal(outcomesOf(events).size, 3);
    assert.deepEqual(
      second.starts.map(({ node }) => node),
      ['waiting'],
    );
    assert.equal(second.attaches.length, 1);
  });

  it('and another one before a run was lost to it has lost the run all the same', async () => {
    const start: Script = async function* () {
      yield accepted;
      throw new RuneError('SERVICE_UNREACHABLE', 'connection reset');
    };
    const attach: Script = async function* () {
      yield* [];
      throw new RuneError('SERVICE_UNREACHABLE', 'still away');
    };
    const plan = planOf(['a']);
    const settings = { lostAfterMs: 400 };
    const mediators = scriptedMediators({ start, attach });
    let owned = await executeRecorded(temp.store, plan, mediators, { settings });
    let owners = 1;
    for (; !isFinal(owned.state); owners++) {
      await Promise.race([owned.finished, delay(100)]);
      owned.leave();
      await owned.finished;
      const [record] = await temp.store.takeOver(`owner ${owners}`, 10);
      if (record === undefined) break;
      owned = await resumeExecution(temp.store, record, plan, mediators, { settings });
    }
    assert.equal(outcomeOf(await owned.events())?.state, RunState.LOST);
    assert.ok(owners > 3 && owners < 12, `${owners} owners`);
  });

  it('has nothing more recorded by the old one', async () => {
    const stall = gate();
    const start: Script = async function* () {
      yield accepted;
      yield running;
      await stall.opened;
      yield ended(RunState.SUCCEEDED);
    };
    const plan = planOf(['a', 'b'], { maxParallel: 1 });
    const mediators = scriptedMediators({ start });
    const old = await executeRecorded(temp.store, plan, mediators);
    await eventually(async () => ((await temp.store.execution(old.id))?.lastSeq ?? 0) >= 2, {
      label: 'a run',
    });
    const record = await takeOver(temp.store, old.id);
    stall.open();
    await old.finished;
    assert.equal(mediators.starts.length, 1);
    assert.equal((await temp.store.execution(old.id))?.lastSeq, record.lastSeq);
    assert.deepEqual(mediators.acknowledged, []);
  });

  it('is cancelled by the new one if that was asked meanwhile', async () => {
    const plan = planOf(['a']);
    const record = await recordExecution(temp.store, plan);
    await temp.store.askCancel(record.id, 'enough');
    const taken = await takeOver(temp.store, record.id);
    const mediators = scriptedMediators({ start: succeed });
    const execution = await resumeExecution(temp.store, taken, plan, mediators);
    assert.equal(statesOf(await execution.events()).at(-1), ExecutionState.CANCELLED);
    assert.equal(mediators.starts.length, 0);
  });
});
