import type { ExecutionStatus } from '../../shared/gen/rune/v1/lom.js';
import type { RunState } from '../../shared/gen/rune/v1/run.js';
import type { ExecutionRecord } from '../store/store.js';

/** What an event says of the execution as a whole. */
export function executionStatus(
  {
    state,
    action,
    version,
    digest,
    runs,
  }: Pick<ExecutionRecord, 'state' | 'action' | 'version' | 'digest' | 'runs'>,
  counts: ReadonlyMap<RunState, number>,
): ExecutionStatus {
  return {
    state,
    counts: [...counts].map(([runState, count]) => ({ state: runState, count })),
    action,
    version,
    digest,
    runs,
  };
}
