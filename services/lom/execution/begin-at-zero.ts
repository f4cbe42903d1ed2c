import { RunState } from '../../shared/gen/rune/v1/run.js';
import { runStateName } from '../../shared/logging/outcome-log.js';
import type { LomMeter } from '../metrics.js';
import { isFinalRun } from '../../shared/messages/is-final.js';

const STATES = Object.values(RunState).filter(isFinalRun).map(runStateName);

/** Lets the counts of an action begin at 0: whoever looks for an increase does not see the first of a series. */
export function beginAtZero(meter: LomMeter, action: string): void {
  for (const state of STATES) meter.count('rune_lom_runs_total', { action, state }, 0);
}
