import type { RcsHeader } from '../../shared/gen/rune/v1/rcs.js';

/** Who asks for a run, and as which part of which execution. */
export interface RunIdentity {
  readonly executionId: string;
  readonly runId: string;
  readonly attempt: number;
  readonly triggeredBy: string;
  readonly header: RcsHeader;
  /** How often the execution has changed its owner. */
  readonly epoch: number;
  /** Runs with the same one may be carried to their nodes together; empty for none. */
  readonly dispatchGroup: string;
}
