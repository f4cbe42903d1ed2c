import assert from 'node:assert/strict';
import { ExecutionState, RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { errorOf, outcomeOf } from '../../support/execution-events.js';
import { executeRecorded, planOf } from '../../support/recorded-execution.js';
import {
  accepted,
  ended,
  running,
  scriptedMediators,
  type Script,
} from '../../support/scripted-mediators.js';
import { tempStore } from '../../support/temp-store.js';

describe('an execution with a rollout', () => {
  const temp = tempStore();

  const failing: Script = async function* (node) {
    yield accepted;
    yield running;
    yield ended(node.startsWith('bad') ? RunState.FAILED : RunState.SUCCEEDED);
  };
  const started = (mediators: { readonly starts: readonly { readonly node: string }[] }): string[] =>
    mediators.starts.map(({ node }) => node);

  it('ends one batch before the next', async () => {
    let open = 0;
    let most = 0;
    const start: Script = async function* () {
      most = Math.max(most, ++open);
      yield accepted;
      await new Promise(setImmediate);
      open--;
      yield ended(RunState.SUCCEEDED);
    };
    const rollout = { canary: true, batchSize: 3, failuresMax: Infinity };
    const plan = planOf(['a', 'b', 'c', 'd', 'e', 'f', 'g'], { rollout });
    const mediators = scriptedMediators({ start });
    await (
      await executeRecorded(temp.store, plan, mediators)
    ).finished;
    assert.equal(most, 3);
    assert.equal(mediators.starts.length, 7);
  });

  it('holds back the rest when the canary fails', async () => {
    const rollout = { canary: true, batchSize: 10, failuresMax: Infinity };
    const mediators = scriptedMediators({ start: failing });
    const plan = planOf(['bad', 'b', 'c'], { rollout });
    const execution = await executeRecorded(temp.store, plan, mediators);
    const events = await execution.events();
    assert.deepEqual(started(mediators), ['bad']);
    assert.equal(execution.counts.get(RunState.SKIPPED), 2);
    assert.equal(errorOf(outcomeOf(events, 'c')), 'RUN_HELD_BACK');
    assert.equal(execution.state, ExecutionState.FAILED);
  });

  it('holds back the rest after so many failures', async () => {
    const rollout = { canary: false, batchSize: 10, failuresMax: 2 };
    const mediators = scriptedMediators({ start: failing });
    const plan = planOf(['a', 'bad1', 'bad2', 'd', 'e'], { rollout, maxParallel: 1 });
    const execution = await executeRecorded(temp.store, plan, mediators);
    await execution.finished;
    assert.deepEqual(started(mediators), ['a', 'bad1', 'bad2']);
    assert.equal(execution.counts.get(RunState.SKIPPED), 2);
    assert.equal(execution.state, ExecutionState.PARTIAL);
  });
});
