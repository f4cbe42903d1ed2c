import assert from 'node:assert/strict';
import { RuneError } from '../../../services/shared/errors.js';
import { ExecutionState, RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { eventually } from '../../support/eventually.js';
import { outcomeOf, statesOf } from '../../support/execution-events.js';
import { gate } from '../../support/gate.js';
import { executeRecorded, planOf } from '../../support/recorded-execution.js';
import {
  accepted,
  ended,
  running,
  scriptedMediators,
  succeed,
  type Script,
} from '../../support/scripted-mediators.js';
import { tempStore } from '../../support/temp-store.js';

describe('an execution that is cancelled', () => {
  const temp = tempStore();

  const untilStopped = (stopped: Promise<void>): Script =>
    async function* () {
      yield accepted;
      yield running;
      await stopped;
      yield ended(RunState.CANCELLED);
    };

  it('tells the mediator once it has the run, and starts none of the waiting ones', async () => {
    const stop = gate();
    const mediators = scriptedMediators({
      start: untilStopped(stop.opened),
      cancel: async () => stop.open(),
    });
    const plan = planOf(['first', 'waiting'], { maxParallel: 1 });
    const execution = await executeRecorded(temp.store, plan, mediators);
    const events = await execution.events(({ event }) => {
      if (event?.$case === 'state') execution.cancel('enough');
    });
    assert.equal(mediators.cancels.length, 1);
    assert.equal(outcomeOf(events, 'waiting')?.state, RunState.CANCELLED);
    assert.equal(outcomeOf(events, 'waiting')?.startedAt, undefined);
    assert.deepEqual(statesOf(events), [
      ExecutionState.RUNNING,
      ExecutionState.CANCELLING,
      ExecutionState.CANCELLED,
    ]);
  });

  it('tries again when the mediator cannot be told at once', async () => {
    let tried = 0;
    const stop = gate();
    const cancel = async (): Promise<void> => {
      if (++tried < 3) throw new RuneError('SERVICE_UNREACHABLE', 'not now');
      stop.open();
    };
    const mediators = scriptedMediators({ start: untilStopped(stop.opened), cancel });
    const execution = await executeRecorded(temp.store, planOf(['a']), mediators);
    await execution.events(({ event }) => {
      if (event?.$case === 'state') execution.cancel('enough');
    });
    assert.equal(tried, 3);
  });

  it('tells the mediators again when it is asked again', async () => {
    let told = 0;
    const stop = gate();
    const cancel = async (): Promise<void> => {
      if (++told === 1) throw new RuneError('MESSAGE_TOO_LARGE', 'never');
      stop.open();
    };
    const mediators = scriptedMediators({ start: untilStopped(stop.opened), cancel });
    const execution = await executeRecorded(temp.store, planOf(['a']), mediators, {
      settings: { cancelTriesMax: 1 },
    });
    await execution.events(({ event }) => {
      if (event?.$case !== 'state') return;
      execution.cancel('first');
      setImmediate(() => execution.cancel('second'));
    });
    assert.equal(told, 2);
    assert.equal(execution.state, ExecutionState.CANCELLED);
  });

  it('reaches a run whose mediator had not accepted it yet', async () => {
    const acceptance = gate();
    const stop = gate();
    const start: Script = async function* () {
      await acceptance.opened;
      yield accepted;
      await stop.opened;
      yield ended(RunState.CANCELLED);
    };
    const mediators = scriptedMediators({ start, cancel: async () => stop.open() });
    const execution = await executeRecorded(temp.store, planOf(['a']), mediators);
    await eventually(() => mediators.starts.length === 1, { label: 'the start' });
    execution.cancel('enough');
    acceptance.open();
    await execution.finished;
    assert.equal(execution.state, ExecutionState.CANCELLED);
  });

  it('says what is true when every run had ended before', async () => {
    const execution = await executeRecorded(temp.store, planOf(['a']), scriptedMediators({ start: succeed }));
    await execution.finished;
    execution.cancel('too late');
    assert.equal(execution.state, ExecutionState.SUCCEEDED);
  });
});
