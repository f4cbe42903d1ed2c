import {
  ExecutionState,
  executionStateFromJSON,
  executionStateToJSON,
} from '../../shared/gen/rune/v1/run.js';
import type { ExecutionStateWord } from '../commands/executions.js';

const PREFIX = 'EXECUTION_STATE_';

/** A state as flags and tables write it, such as "timed_out". */
export function executionStateWord(state: ExecutionState): string {
  return state === ExecutionState.UNSPECIFIED || state === ExecutionState.UNRECOGNIZED
    ? 'unknown'
    : executionStateToJSON(state).slice(PREFIX.length).toLowerCase();
}

/** The state that a flag names. */
export function executionStateOf(word: ExecutionStateWord): ExecutionState {
  return executionStateFromJSON(PREFIX + word.toUpperCase());
}

/** States of executions that have not ended. */
export const UNFINISHED_STATES: readonly ExecutionState[] = [
  ExecutionState.PENDING_APPROVAL,
  ExecutionState.QUEUED,
  ExecutionState.RUNNING,
  ExecutionState.CANCELLING,
];
