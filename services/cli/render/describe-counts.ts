import { RunState } from '../../shared/gen/rune/v1/run.js';
import { stateWords } from './describe-outcome.js';

const ORDER = [
  RunState.SUCCEEDED,
  RunState.FAILED,
  RunState.TIMED_OUT,
  RunState.CANCELLED,
  RunState.SKIPPED,
  RunState.LOST,
  RunState.RUNNING,
  RunState.QUEUED,
];

/** "2 succeeded", "1 failed": a part for each state that occurs, in a fixed order. */
export function describeCounts(counts: ReadonlyMap<RunState, number>): string[] {
  return ORDER.filter((state) => (counts.get(state) ?? 0) > 0).map(
    (state) => `${counts.get(state)} ${stateWords(state)}`,
  );
}
