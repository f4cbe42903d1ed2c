import { isErrorName } from '../../shared/messages/eps.js';
import type { Outcome } from '../../shared/gen/rune/v1/run.js';
import { runStateName } from '../../shared/logging/outcome-log.js';
import type { LomMeter } from '../metrics.js';

/** Counts how a run of the action ended. */
export function measureOutcome(
  meter: LomMeter,
  action: string,
  { state, error, startedAt, endedAt }: Outcome,
): void {
  meter.count('rune_lom_runs_total', { action, state: runStateName(state) });
  const name = error?.errorData?.name;
  if (name !== undefined && isErrorName(name))
    meter.count('rune_lom_run_errors_total', { action, error: name });
  if (startedAt !== undefined && endedAt !== undefined) {
    // Both by the clock of the mediator, which somebody may have set back meanwhile.
    const seconds = Math.max(0, endedAt.getTime() - startedAt.getTime()) / 1000;
    meter.observe('rune_lom_run_seconds', { action }, seconds);
  }
}
