import type { RunState } from '../../shared/gen/rune/v1/run.js';
import type { Execution, ExecutionStatus, RunResponse } from '../../shared/gen/rune/v1/lom.js';
import { isFinal } from '../../shared/messages/is-final.js';
import { type ExitName, exitNameOfOutcome } from '../exit-code.js';

/** What is known of an execution so far; its size does not grow with the number of runs. */
export interface Tally {
  /** Empty until the service has accepted. */
  executionId: string;
  /** The first status: action, version, digest, number of runs. */
  first?: ExecutionStatus;
  /** The final status; absent until the stream's last event. */
  final?: ExecutionStatus;
  /** Number of the newest event that was taken. */
  seq: number;
  /** When it was accepted and when it ended, as the service says. */
  startedAt: Date | undefined;
  endedAt: Date | undefined;
  /** Not all events are watched, so that outcomes are missing. */
  readonly partial: boolean;
  readonly exits: Set<ExitName>;
  readonly ended: Map<RunState, number>;
}

/** A tally of nothing, or of an execution that is there already and none of whose events were taken yet. */
export function createTally(known?: { readonly execution: Execution; readonly partial: boolean }): Tally {
  const tally: Tally = {
    executionId: '',
    seq: 0,
    startedAt: known?.execution.createdAt,
    endedAt: undefined,
    partial: known?.partial === true,
    exits: new Set(),
    ended: new Map(),
  };
  if (known === undefined) return tally;
  const { executionId, state, action, version, digest, runs } = known.execution;
  return { ...tally, executionId, first: { state, action, version, digest, runs, counts: [] } };
}

/** Takes one event into the tally. */
export function addToTally(tally: Tally, { executionId, seq, at, event }: RunResponse): void {
  if (executionId !== '') tally.executionId = executionId;
  tally.seq = seq;
  tally.startedAt ??= at;
  if (event?.$case === 'execution') {
    tally.first ??= event.value;
    if (isFinal(event.value.state)) {
      tally.endedAt = at;
      addFinal(tally, event.value);
    }
  }
  if (event?.$case === 'outcome') {
    const { state } = event.value;
    tally.exits.add(exitNameOfOutcome(event.value));
    tally.ended.set(state, (tally.ended.get(state) ?? 0) + 1);
  }
}

/** The counts of the final state tell of the runs whose outcomes were not watched. */
function addFinal(tally: Tally, final: ExecutionStatus): void {
  tally.final = final;
  for (const { state, count } of final.counts) {
    if (count <= (tally.ended.get(state) ?? 0)) continue;
    tally.ended.set(state, count);
    tally.exits.add(exitNameOfOutcome({ state, error: undefined }));
  }
}
