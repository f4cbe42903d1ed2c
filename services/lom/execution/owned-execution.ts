import type { RuneError } from '../../shared/errors.js';
import type { RcsHeader } from '../../shared/gen/rune/v1/rcs.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { Dispatcher } from '../dispatch/dispatch.js';
import type { Mediators } from '../mediators/mediators.js';
import type { LomMeter } from '../metrics.js';
import type { ExecutionRecord, RunRecord } from '../store/store.js';
import type { FairSlots } from './fair-slots.js';
import type { Intent } from '../plan/intent.js';
import type { PerformSettings } from './perform-run.js';
import type { EarlierAttempt } from './read-retries.js';
import type { Recorder } from './recorder.js';
import type { Reservation } from './reserve-runs.js';
import type { LockDeps } from './wait-for-lock.js';

/** An execution that this process owns, as it was recorded when it came here. */
export interface OwnedExecution {
  readonly record: ExecutionRecord;
  readonly runs: readonly RunRecord[];
  /** Bytes of its results that were recorded. */
  readonly resultBytes: number;
  /** Of runs that were sent and not heard of since, by position: for how many ms. */
  readonly awayMs: ReadonlyMap<number, number>;
  /** Of runs that are tried again, by position: the attempt before that may have started. */
  readonly retries: ReadonlyMap<number, EarlierAttempt>;
  /** Of runs that this process has recorded as placed together with the execution, and not sent yet, by position: what they hold. */
  readonly reserved: ReadonlyMap<number, Reservation>;
  readonly header: RcsHeader;
  /** What is planned for the runs that were not sent; or why they cannot be sent any more. */
  readonly intent: Intent | RuneError;
}

/** Settings of executions. */
export interface ExecutionSettings extends PerformSettings {
  /** Bytes of log that are recorded of one run, and of all runs of an execution together. */
  readonly logRunBytesMax: number;
  readonly logExecutionBytesMax: number;
  /** Bytes of results that are recorded of all runs of an execution together. */
  readonly resultsExecutionBytesMax: number;
  /** Tries to tell a mediator that a run is cancelled, and the wait between them. */
  readonly cancelTriesMax: number;
  readonly cancelRetryMs: number;
}

/** What an execution works with. */
export interface ExecutionDeps {
  readonly dispatcher: Dispatcher;
  readonly mediators: Mediators;
  readonly recorder: Recorder;
  /** Places for runs of all executions of this process. */
  readonly slots: FairSlots;
  readonly locks: LockDeps;
  readonly settings: ExecutionSettings;
  readonly logger: Logger;
  /** Default: nobody counts. */
  readonly meter?: LomMeter;
}
