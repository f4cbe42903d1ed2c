import { executionStateToJSON, runStateToJSON } from '../gen/rune/v1/run.js';
import type { ExecutionState, Outcome, RunState } from '../gen/rune/v1/run.js';

/** The state of a run as a log line names it, such as "TIMED_OUT". */
export function runStateName(state: RunState): string {
  return runStateToJSON(state).replace(/^RUN_STATE_/, '');
}

/** The state of an execution as a log line names it, such as "PARTIAL". */
export function executionStateName(state: ExecutionState): string {
  return executionStateToJSON(state).replace(/^EXECUTION_STATE_/, '');
}

/** An outcome as fields of a log line: its state, and name and fingerprint of its error. Never what the plugin printed. */
export function outcomeFields({ state, error }: Outcome): Record<string, unknown> {
  return {
    state: runStateName(state),
    error: error?.errorData?.name,
    error_fingerprint: error?.observability?.errorFingerprint,
  };
}
