import { RunState } from '../../shared/gen/rune/v1/run.js';
import type { RunRecord } from '../store/store.js';

/** A run of which nothing has happened yet. */
export const newRun = (position: number, runId: string, node: string): RunRecord => ({
  position,
  runId,
  node,
  attempt: 0,
  state: RunState.QUEUED,
  mediator: '',
  lmmInstanceId: '',
  mediatorEvent: 0,
  placedMs: 0,
  startedMs: 0,
  endedMs: 0,
  logBytes: 0,
  outcomeSeq: 0,
});
