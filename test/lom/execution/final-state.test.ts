import assert from 'node:assert/strict';
import { ExecutionState, RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { finalState } from '../../../services/lom/execution/final-state.js';

describe('the final state of an execution', () => {
  const { SUCCEEDED, FAILED, TIMED_OUT, CANCELLED, LOST } = RunState;
  const cases: [title: string, runs: RunState[], cancelAsked: boolean, expected: ExecutionState][] = [
    ['all succeeded', [SUCCEEDED, SUCCEEDED], false, ExecutionState.SUCCEEDED],
    ['no run at all', [], false, ExecutionState.SUCCEEDED],
    ['all succeeded before the cancel reached them', [SUCCEEDED], true, ExecutionState.SUCCEEDED],
    ['cancelled after one succeeded', [SUCCEEDED, CANCELLED], true, ExecutionState.CANCELLED],
    ['one of two failed', [SUCCEEDED, FAILED], false, ExecutionState.PARTIAL],
    ['one of two lost', [SUCCEEDED, LOST], false, ExecutionState.PARTIAL],
    ['all timed out', [TIMED_OUT, TIMED_OUT], false, ExecutionState.TIMED_OUT],
    ['timed out and failed', [TIMED_OUT, FAILED], false, ExecutionState.FAILED],
    ['lost', [LOST], false, ExecutionState.FAILED],
    ['a mediator cancelled on its own account', [CANCELLED], false, ExecutionState.FAILED],
  ];
  for (const [title, runs, cancelAsked, expected] of cases) {
    it(title, () => {
      const counts = new Map<RunState, number>();
      for (const run of runs) counts.set(run, (counts.get(run) ?? 0) + 1);
      assert.equal(finalState(counts, cancelAsked), expected);
    });
  }
});
