import { ERRORS } from '../shared/errors.js';
import { RunState } from '../shared/gen/rune/v1/run.js';
import { runStateName } from '../shared/logging/outcome-log.js';
import type { LmmMeter } from './metrics.js';

/** How runs end here. */
const STATES = [RunState.SUCCEEDED, RunState.FAILED, RunState.TIMED_OUT, RunState.CANCELLED, RunState.LOST];

/** Lets the counts that people are woken by begin at 0: whoever looks for an increase does not see the first of a series. */
export function beginAtZero(meter: LmmMeter, transports: Iterable<string>): void {
  const severe = Object.entries(ERRORS).filter(
    ([, { severity }]) => severity === 'HIGH' || severity === 'CRITICAL',
  );
  for (const transport of transports) {
    for (const state of STATES)
      meter.count('rune_lmm_runs_total', { transport, state: runStateName(state) }, 0);
    for (const [error] of severe) meter.count('rune_lmm_run_errors_total', { transport, error }, 0);
  }
  meter.count('rune_lmm_runs_stopped_total', { reason: 'ORPHANED' }, 0);
}
