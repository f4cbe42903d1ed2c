import { ExecutionState, RunState } from '../../shared/gen/rune/v1/run.js';

/** The final state of an execution, by the first rule that fits; `counts` holds the final state of every run. */
export function finalState(counts: ReadonlyMap<RunState, number>, cancelAsked: boolean): ExecutionState {
  const count = (state: RunState): number => counts.get(state) ?? 0;
  const total = [...counts.values()].reduce((sum, n) => sum + n, 0);
  if (cancelAsked && count(RunState.CANCELLED) > 0) return ExecutionState.CANCELLED;
  if (count(RunState.SUCCEEDED) === total) return ExecutionState.SUCCEEDED;
  if (count(RunState.SUCCEEDED) > 0) return ExecutionState.PARTIAL;
  if (count(RunState.TIMED_OUT) === total) return ExecutionState.TIMED_OUT;
  return ExecutionState.FAILED;
}
