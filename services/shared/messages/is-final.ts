import { ExecutionState, RunState } from '../gen/rune/v1/run.js';

/** Whether an execution in this state has ended. */
export const isFinal = (state: ExecutionState): boolean => state >= ExecutionState.SUCCEEDED;

/** Whether a run in this state has ended. */
export const isFinalRun = (state: RunState): boolean => state >= RunState.SUCCEEDED;
