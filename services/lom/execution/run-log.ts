import { Result, RunState, type Outcome } from '../../shared/gen/rune/v1/run.js';
import { firstLines, type MediatedMessage } from '../dispatch/mediated-message.js';
import type { Placement } from '../dispatch/placement.js';
import { logBytesOf, type Event, type Recorder, type RunChange } from './recorder.js';
import { limitKeyOf } from '../store/lock-rules.js';
import { waitMessage } from '../watch/lock-message.js';
import type { LockRequest, LockWait, RunRecord } from '../store/store.js';

/** Bytes of log and of results that are recorded; what follows is counted. */
export interface Allowance {
  readonly runBytesMax: number;
  /** Of all runs of the execution together, so far and at most. */
  readonly execution: { bytes: number; readonly bytesMax: number };
  /** Of the results of all runs of the execution. */
  readonly results: { bytes: number; readonly bytesMax: number };
}

type LogEvent = Extract<Event, { $case: 'log' | 'progress' }>;

/** One run as its owner records it. */
export interface RunLog {
  readonly node: string;
  /** Where it was sent; undefined before. */
  readonly placement: Placement | undefined;
  /** Number of the newest event of the mediator that was recorded, or is about to be. */
  readonly mediatorEvent: number;
  /** For how many ms owners before this one may have looked for it in vain. */
  readonly awayMs: number;
  /** Takes note that it was found where it was sent. */
  found(): void;
  /**
   * Records where the run is about to be sent, together with the locks that it needs; resolves with false, and nothing is recorded, if
   * somebody else has one of them.
   */
  place(placement: Placement, lock?: LockRequest): Promise<boolean>;
  /** Records that the run has begun to wait. */
  waits(wait: LockWait): Promise<void>;
  /** Records a message of the mediator; resolves with the outcome if it is that, which `end` records. */
  relay(message: MediatedMessage): Promise<Outcome | undefined>;
  /** Records how the attempt has ended, with everything about one that may have started, and the next one before that is sent. */
  retry(ended: Outcome, mayHaveStarted: boolean, next: RunRecord, nextAt: Date): Promise<void>;
  /** Records the outcome, and what of the log was left out before it. */
  end(outcome: Outcome): Promise<void>;
}

/** What becomes of the locks: of a run that may be alive on its node they stay until that is over, by the clock that said so. */
function lockAfter(
  { state, stoppedOnNodeBy }: Outcome,
  endedAt: Date,
  lock: LockRequest | undefined,
): Pick<RunChange, 'keepsLockMs' | 'releases'> {
  if (state === RunState.LOST && stoppedOnNodeBy !== undefined) {
    return { keepsLockMs: Math.max(1, stoppedOnNodeBy.getTime() - endedAt.getTime()) };
  }
  if (lock === undefined) return {};
  const { key, limit } = lock;
  return {
    releases: [
      ...(key === undefined ? [] : [key]),
      ...(limit === undefined ? [] : [limitKeyOf(limit.action)]),
    ],
  };
}

/** The outcome as it is recorded: without its result where that does not fit any more, which it says then. */
function keptOf(outcome: Outcome, results: Allowance['results']): Outcome {
  const { result } = outcome;
  if (result === undefined) return outcome;
  const bytes = Result.encode(result).finish().length;
  if (results.bytes + bytes <= results.bytesMax) {
    results.bytes += bytes;
    return outcome;
  }
  const notKeptBytes = result.outputJson.length;
  return {
    ...outcome,
    result: { ...result, outputJson: Buffer.alloc(0), output: undefined, outputOmitted: true, notKeptBytes },
  };
}

/** What a run comes with: of an earlier life of its execution … */
export interface RunHeritage {
  /** … perhaps a place in a queue, … */
  readonly mayWait: boolean;
  /** … or these locks. */
  readonly lock: LockRequest | undefined;
  /** For how many ms nothing has been heard of it. */
  readonly awayMs: number;
  /** And after it, the action is not to start on its node for so long; 0 for no time. */
  readonly cooldown: { readonly action: string; readonly forMs: number };
}

/**
 * Makes the log of a run that was recorded so far as `record` says. `onFault` hears why an event could not be recorded.
 */
export function createRunLog(
  record: RunRecord,
  attempt: number,
  recorder: Recorder,
  allowance: Allowance,
  onFault: (thrown: unknown) => void,
  before: RunHeritage,
): RunLog {
  const { position, runId, node } = record;
  const subject = { runId, node, attempt };
  let placement: Placement | undefined =
    record.mediator === '' ? undefined : { address: record.mediator, instanceId: record.lmmInstanceId };
  let { mediatorEvent, logBytes } = record;
  let droppedBytes = 0;
  let isCut = false;
  const { cooldown } = before;
  let { lock: held, mayWait: leavesQueue, awayMs } = before;

  const cooldownAfter = ({ startedAt, state }: Outcome): Pick<RunChange, 'coolsDown'> =>
    held?.key === undefined || cooldown.forMs === 0 || (startedAt === undefined && state !== RunState.LOST)
      ? {}
      : { coolsDown: { key: held.key, ...cooldown } };

  const publish = (event: Event, at: Date, change: Omit<RunChange, 'position'> = {}): Promise<unknown> =>
    recorder.event(subject, at, event, { run: { position, mediatorEvent, ...change } });

  /** What fits of log or progress. No line follows where some were left out: it would be taken for the next one. */
  const fitting = (event: LogEvent, roomBytes: number): LogEvent | undefined => {
    if (event.$case === 'progress') return logBytesOf(event) > roomBytes ? undefined : event;
    if (isCut) return undefined;
    isCut = logBytesOf(event) > roomBytes;
    const value = isCut ? firstLines(event.value, roomBytes) : event.value;
    return value && { $case: 'log', value };
  };

  const publishLog = async (event: LogEvent, at: Date): Promise<void> => {
    const { execution, runBytesMax } = allowance;
    const roomBytes = Math.min(runBytesMax - logBytes, execution.bytesMax - execution.bytes);
    const shown = fitting(event, roomBytes);
    const bytes = shown === undefined ? 0 : logBytesOf(shown);
    droppedBytes += logBytesOf(event) - bytes;
    if (shown === undefined) return;
    logBytes += bytes;
    execution.bytes += bytes;
    publish(shown, at, { logBytes }).catch(onFault);
    // A store that is slow holds back the plugin.
    await recorder.room();
  };

  return {
    node,
    get placement() {
      return placement;
    },
    get mediatorEvent() {
      return mediatorEvent;
    },
    get awayMs() {
      return awayMs;
    },
    found() {
      if (awayMs === 0) return;
      awayMs = 0;
      // Whatever is recorded of it says so too, but it may be silent for hours.
      recorder.run({ position, mediatorEvent }).catch(onFault);
    },
    async place(chosen, lock) {
      mediatorEvent = 0;
      awayMs = 0;
      const isRecorded = await recorder.run({
        position,
        attempt,
        mediator: chosen.address,
        lmmInstanceId: chosen.instanceId,
        mediatorEvent,
        placedMs: Date.now(),
        ...(lock === undefined ? {} : { lock }),
      });
      if (isRecorded) {
        placement = chosen;
        // A run that another mediator goes on with has its locks already.
        held = lock ?? held;
      }
      leavesQueue = !isRecorded;
      return isRecorded;
    },
    async waits(wait) {
      await publish({ $case: 'waiting', value: waitMessage(wait) }, new Date());
    },
    async relay({ event, eventNo, at = new Date() }) {
      // After an attach, nothing that is recorded comes twice.
      if (event === undefined || eventNo <= mediatorEvent) return undefined;
      mediatorEvent = eventNo;
      switch (event.$case) {
        case 'outcome':
          return event.value;
        case 'accepted':
          return undefined;
        case 'state':
          publish(event, at, { state: RunState.RUNNING, startedMs: at.getTime() }).catch(onFault);
          return undefined;
        default:
          await publishLog(event, at);
          return undefined;
      }
    },
    async retry(ended, mayHaveStarted, next, nextAt) {
      const outcome = mayHaveStarted ? { ...ended, result: undefined } : undefined;
      const value = { error: ended.error, nextAttempt: next.attempt, nextAt, outcome };
      const { state, attempt: nextAttempt, mediator, lmmInstanceId, placedMs } = next;
      await publish({ $case: 'retry', value }, new Date(), {
        runId: next.runId,
        attempt: nextAttempt,
        mediatorEvent: 0,
        state,
        mediator,
        lmmInstanceId,
        placedMs,
      });
    },
    async end(outcome) {
      const at = outcome.endedAt ?? new Date();
      if (droppedBytes > 0) publish({ $case: 'logTruncated', value: { droppedBytes } }, at).catch(onFault);
      const kept = keptOf(outcome, allowance.results);
      await publish({ $case: 'outcome', value: kept }, at, {
        attempt,
        state: outcome.state,
        endedMs: at.getTime(),
        ...(outcome.startedAt === undefined ? {} : { startedMs: outcome.startedAt.getTime() }),
        ...(leavesQueue ? { leavesQueue } : {}),
        ...lockAfter(outcome, at, held),
        ...cooldownAfter(outcome),
      });
    },
  };
}
