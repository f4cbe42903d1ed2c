import { ERRORS, EXIT_CODE, type ErrorName } from '../shared/errors.js';
import { ExecutionState, type Outcome, RunState } from '../shared/gen/rune/v1/run.js';

/** Meaning of an exit code. */
export type ExitName = keyof typeof EXIT_CODE;

/** Which meaning wins when the runs of one execution ended differently: the first that occurs. */
const PRECEDENCE: readonly ExitName[] = [
  'UNKNOWN',
  'CANCELLED',
  'PLUGIN_FAILED',
  'TIMED_OUT',
  'NODE_UNREACHABLE',
  'SERVICE_UNREACHABLE',
  'REFUSED',
];

/** What a failure's name means for the exit code; one that is not known here counts as a failed plugin. */
export function exitNameOfError(name: string): ExitName {
  return Object.hasOwn(ERRORS, name) ? ERRORS[name as ErrorName].exit : 'PLUGIN_FAILED';
}

/** What one run's outcome means for the exit code. */
export function exitNameOfOutcome(outcome: Pick<Outcome, 'state' | 'error'>): ExitName {
  switch (outcome.state) {
    case RunState.SUCCEEDED:
      return 'SUCCEEDED';
    case RunState.TIMED_OUT:
      return 'TIMED_OUT';
    case RunState.CANCELLED:
      return 'CANCELLED';
    case RunState.SKIPPED:
      return 'REFUSED';
    case RunState.FAILED:
      return exitNameOfError(outcome.error?.errorData?.name ?? '');
    default:
      return 'UNKNOWN';
  }
}

const OF_FINAL_STATE: Partial<Record<ExecutionState, ExitName>> = {
  [ExecutionState.SUCCEEDED]: 'SUCCEEDED',
  [ExecutionState.PARTIAL]: 'PLUGIN_FAILED',
  [ExecutionState.FAILED]: 'PLUGIN_FAILED',
  [ExecutionState.TIMED_OUT]: 'TIMED_OUT',
  [ExecutionState.CANCELLED]: 'CANCELLED',
  [ExecutionState.REJECTED]: 'REFUSED',
  [ExecutionState.EXPIRED]: 'REFUSED',
};

/**
 * The exit code of `rune run`, from what its runs came to and the execution's final state (UNSPECIFIED if the stream ended
 * before it: then something may have run and is unknown). A run that may have run and is unknown wins over everything, then
 * comes a cancelled execution, then a failed plugin, a timeout, a node that could not be reached.
 */
export function exitCodeOf(runs: ReadonlySet<ExitName>, finalState: ExecutionState): number {
  const ofExecution = OF_FINAL_STATE[finalState] ?? 'UNKNOWN';
  const all = new Set<ExitName>(runs);
  if (ofExecution === 'UNKNOWN' || ofExecution === 'CANCELLED') all.add(ofExecution);
  const name = PRECEDENCE.find((candidate) => all.has(candidate)) ?? ofExecution;
  return EXIT_CODE[name];
}
