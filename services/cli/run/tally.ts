import { ExecutionState, type RunState } from '../../shared/gen/rune/v1/run.js';
import type { ExecutionStatus, RunResponse } from '../../shared/gen/rune/v1/lom.js';
import { type ExitName, exitNameOfOutcome } from '../exit-code.js';

/** What is known of an execution so far; its size does not grow with the number of runs. */
export interface Tally {
  /** Empty until the service has accepted. */
  executionId: string;
  /** The first status: action, version, digest, number of runs. */
  first?: ExecutionStatus;
  /** The final status; absent until the stream's last event. */
  final?: ExecutionStatus;
  readonly exits: Set<ExitName>;
  readonly ended: Map<RunState, number>;
}

/** A tally of nothing. */
export function createTally(): Tally {
  return { executionId: '', exits: new Set(), ended: new Map() };
}

const isFinal = (state: ExecutionState) => state >= ExecutionState.SUCCEEDED;

/** Takes one event into the tally. */
export function addToTally(tally: Tally, { executionId, event }: RunResponse): void {
  if (executionId !== '') tally.executionId = executionId;
  if (event?.$case === 'execution') {
    tally.first ??= event.value;
    if (isFinal(event.value.state)) tally.final = event.value;
  }
  if (event?.$case === 'outcome') {
    const { state } = event.value;
    tally.exits.add(exitNameOfOutcome(event.value));
    tally.ended.set(state, (tally.ended.get(state) ?? 0) + 1);
  }
}
