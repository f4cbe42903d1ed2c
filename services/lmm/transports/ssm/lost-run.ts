import type { StopReason } from '../../../shared/gen/rune/v1/run.js';
import type { NodeEnding, RunPhases } from '../transport.js';
import { longestMs } from './run-limits.js';
import type { SsmRun, SsmRunDeps } from './ssm-run.js';

/** The ending of a run that may have run and of which nothing more is known. */
export function lost(
  reason: string,
  { command }: SsmRun,
  { settings }: SsmRunDeps,
  sentAt: Date,
  known: {
    readonly started?: boolean;
    readonly stopReason?: StopReason | undefined;
    readonly phases?: RunPhases;
  } = {},
): NodeEnding {
  return {
    kind: 'lost',
    reason,
    started: known.started ?? false,
    stopReason: known.stopReason,
    stoppedOnNodeByMs: sentAt.getTime() + longestMs(command, settings),
    phases: known.phases ?? { connectMs: 0, startMs: 0, runMs: 0 },
  };
}
