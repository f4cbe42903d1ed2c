import { isErrorName } from '../../shared/messages/eps.js';
import { toMs } from '../../shared/messages/duration.js';
import { stopReasonToJSON, StopReason, type Outcome } from '../../shared/gen/rune/v1/run.js';
import { runStateName } from '../../shared/logging/outcome-log.js';
import type { LmmMeter } from '../metrics.js';

/** Counts how a run ended that was taken `seconds` ago. */
export function measureOutcome(meter: LmmMeter, outcome: Outcome, transport: string, seconds: number): void {
  const { state, error, stopReason, phases, logDroppedBytes } = outcome;
  meter.count('rune_lmm_runs_total', { transport, state: runStateName(state) });
  meter.observe('rune_lmm_run_seconds', { transport }, seconds);
  const name = error?.errorData?.name;
  if (name !== undefined && isErrorName(name))
    meter.count('rune_lmm_run_errors_total', { transport, error: name });
  if (stopReason !== StopReason.UNSPECIFIED) {
    const reason = stopReasonToJSON(stopReason).replace(/^STOP_REASON_/, '');
    meter.count('rune_lmm_runs_stopped_total', { reason });
  }
  if (phases?.connect !== undefined)
    meter.observe('rune_lmm_connect_seconds', { transport }, toMs(phases.connect) / 1000);
  if (logDroppedBytes > 0) meter.count('rune_lmm_log_dropped_bytes_total', {}, logDroppedBytes);
}
