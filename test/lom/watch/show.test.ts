import assert from 'node:assert/strict';
import { listExecutions, showExecution } from '../../../services/lom/watch/show.js';
import { RuneError } from '../../../services/shared/errors.js';
import { GetExecutionRequest, ListExecutionsRequest } from '../../../services/shared/gen/rune/v1/lom.js';
import { ExecutionState, RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { tempStore } from '../../support/temp-store.js';

/** More than a statement of SQLite can carry. */
const STATES = 100_000;

describe('a request for recorded executions', () => {
  const temp = tempStore();

  const named = (name: string) => (error: unknown) => RuneError.from(error).name === name;

  it('may name a state any number of times', async () => {
    const request = ListExecutionsRequest.fromPartial({
      states: Array<ExecutionState>(STATES).fill(ExecutionState.RUNNING),
    });
    assert.deepEqual((await listExecutions(temp.store, request)).items, []);
    const one = GetExecutionRequest.fromPartial({ states: Array<RunState>(STATES).fill(RunState.FAILED) });
    await assert.rejects(showExecution(temp.store, one), named('EXECUTION_NOT_FOUND'));
  });

  it('with a state that there is not is refused by the name of the field', async () => {
    const states = Array.from({ length: STATES }, (_, index) => index as ExecutionState);
    await assert.rejects(
      listExecutions(temp.store, ListExecutionsRequest.fromPartial({ states })),
      (error: unknown) => {
        const { name, facts } = RuneError.from(error);
        assert.deepEqual([name, facts.field], ['FIELD_OUT_OF_RANGE', 'states']);
        return true;
      },
    );
    const one = GetExecutionRequest.fromPartial({ states: [99 as RunState] });
    await assert.rejects(showExecution(temp.store, one), named('FIELD_OUT_OF_RANGE'));
  });
});
