import assert from 'node:assert/strict';
import { RuneError } from '../../../services/shared/errors.js';
import { ExecutionState, RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { eventually } from '../../support/eventually.js';
import { errorOf, outcomeOf } from '../../support/execution-events.js';
import { executeRecorded, planOf } from '../../support/recorded-execution.js';
import { refusal, scriptedMediators, succeed, type Script } from '../../support/scripted-mediators.js';
import { tempStore } from '../../support/temp-store.js';

describe('a run whose mediator does not take it', () => {
  const temp = tempStore();

  it('asks the next one, and records that it did', async () => {
    const start: Script = async function* (_node, identity) {
      const [run] = await temp.store.runs(identity.executionId, { after: -1, limit: 1 });
      if (run?.mediator === 'm:1') throw refusal('MEDIATOR_FULL');
      yield* succeed();
    };
    const mediators = scriptedMediators({ start });
    const execution = await executeRecorded(temp.store, planOf(['a']), mediators);
    await execution.finished;
    assert.equal(execution.state, ExecutionState.SUCCEEDED);
    assert.deepEqual(
      mediators.starts.map(({ placement }) => placement.address),
      ['m:1', 'm:2'],
    );
    assert.equal(new Set(mediators.starts.map(({ runId }) => runId)).size, 1);
  });

  it('ends the run as one that never started when none takes it', async () => {
    const instanceAt = (address: string): Promise<string> =>
      Promise.reject(new RuneError('MEDIATOR_UNAVAILABLE', `Nobody at ${address}.`));
    const mediators = scriptedMediators({ start: succeed, instanceAt });
    const events = await (await executeRecorded(temp.store, planOf(['a']), mediators)).events();
    const outcome = outcomeOf(events);
    assert.equal(outcome?.state, RunState.FAILED);
    assert.equal(errorOf(outcome), 'MEDIATOR_UNAVAILABLE');
    assert.equal(outcome?.maySurvive, false);
    assert.equal(mediators.starts.length, 0);
  });

  it('waits for one that has no room, and is cancelled while it waits', async () => {
    let full = true;
    const start: Script = async function* () {
      if (full) throw refusal('MEDIATOR_FULL');
      yield* succeed();
    };
    const settings = { mediatorWaitMs: 60_000, mediatorRetryMs: 60_000 };
    const mediators = scriptedMediators({ start });
    const execution = await executeRecorded(temp.store, planOf(['a']), mediators, { settings });
    await eventually(() => mediators.starts.length === 2, { label: 'both refusals' });
    execution.cancel('enough');
    const events = await execution.events();
    assert.equal(outcomeOf(events)?.state, RunState.CANCELLED);

    const patient = scriptedMediators({ start });
    const quick = { mediatorWaitMs: 60_000, mediatorRetryMs: 20 };
    const other = await executeRecorded(temp.store, planOf(['a']), patient, { settings: quick });
    await eventually(() => patient.starts.length >= 2, { label: 'both refusals' });
    full = false;
    await other.finished;
    assert.equal(other.state, ExecutionState.SUCCEEDED);
  });

  it('ends the run after its wait as one that never started, and says who had no room', async () => {
    const start: Script = async function* () {
      yield* [];
      throw refusal('MEDIATOR_FULL');
    };
    const mediators = scriptedMediators({ start });
    const events = await (await executeRecorded(temp.store, planOf(['a']), mediators)).events();
    assert.equal(errorOf(outcomeOf(events)), 'MEDIATOR_FULL');
  });

  it('asks again where another process answers by now', async () => {
    let asked = 0;
    const start: Script = async function* () {
      if (asked++ === 0) throw refusal('WRONG_INSTANCE');
      yield* succeed();
    };
    const mediators = scriptedMediators({ start });
    const execution = await executeRecorded(temp.store, planOf(['a']), mediators);
    await execution.finished;
    assert.equal(execution.state, ExecutionState.SUCCEEDED);
    assert.equal(mediators.attaches.length, 0);
  });

  it('ends the run with what the mediator refuses it for', async () => {
    const start: Script = async function* () {
      yield* [];
      throw refusal('FIELD_MISSING');
    };
    const events = await (
      await executeRecorded(temp.store, planOf(['a']), scriptedMediators({ start }))
    ).events();
    assert.equal(errorOf(outcomeOf(events)), 'FIELD_MISSING');
    assert.equal(outcomeOf(events)?.state, RunState.FAILED);
  });
});
