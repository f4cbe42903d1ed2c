import type { MediateResponse } from '../shared/gen/rune/v1/lmm.js';
import { RunState, type Outcome } from '../shared/gen/rune/v1/run.js';
import type { Placement } from './dispatch.js';
import { logBytesOf, type Event, type Recorder, type RunChange } from './recorder.js';
import type { RunRecord } from './store/store.js';

/** Bytes of log that are recorded; what follows is counted. */
export interface LogAllowance {
  readonly runBytesMax: number;
  /** Of all runs of the execution together, so far and at most. */
  readonly execution: { bytes: number; readonly bytesMax: number };
}

/** One run as its owner records it. */
export interface RunLog {
  readonly node: string;
  /** Where it was sent; undefined before. */
  readonly placement: Placement | undefined;
  /** Number of the newest event of the mediator that was recorded, or is about to be. */
  readonly mediatorEvent: number;
  /** Records where the run is about to be sent. */
  place(placement: Placement): Promise<void>;
  /** Records a message of the mediator; resolves with the outcome if it is that, which `end` records. */
  relay(message: MediateResponse): Promise<Outcome | undefined>;
  /** Records the outcome, and what of the log was left out before it. */
  end(outcome: Outcome): Promise<void>;
}

/** Makes the log of a run that was recorded so far as `record` says. `onFault` hears why an event could not be recorded. */
export function createRunLog(
  record: RunRecord,
  attempt: number,
  recorder: Recorder,
  allowance: LogAllowance,
  onFault: (thrown: unknown) => void,
): RunLog {
  const { position, runId, node } = record;
  const subject = { runId, node, attempt };
  let placement: Placement | undefined =
    record.mediator === '' ? undefined : { address: record.mediator, instanceId: record.lmmInstanceId };
  let { mediatorEvent, logBytes } = record;
  let droppedBytes = 0;

  const publish = (event: Event, at: Date, change: Omit<RunChange, 'position'> = {}): Promise<unknown> =>
    recorder.event(subject, at, event, { run: { position, mediatorEvent, ...change } });

  const publishLog = async (
    event: Extract<Event, { $case: 'log' | 'progress' }>,
    at: Date,
  ): Promise<void> => {
    const bytes = logBytesOf(event);
    const { execution, runBytesMax } = allowance;
    if (logBytes + bytes > runBytesMax || execution.bytes + bytes > execution.bytesMax) {
      droppedBytes += bytes;
      return;
    }
    logBytes += bytes;
    execution.bytes += bytes;
    publish(event, at, { logBytes }).catch(onFault);
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
    async place(chosen) {
      mediatorEvent = 0;
      await recorder.run({
        position,
        attempt,
        mediator: chosen.address,
        lmmInstanceId: chosen.instanceId,
        mediatorEvent,
        placedMs: Date.now(),
      });
      placement = chosen;
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
    async end(outcome) {
      const at = outcome.endedAt ?? new Date();
      if (droppedBytes > 0) publish({ $case: 'logTruncated', value: { droppedBytes } }, at).catch(onFault);
      await publish({ $case: 'outcome', value: outcome }, at, {
        attempt,
        state: outcome.state,
        endedMs: at.getTime(),
        ...(outcome.startedAt === undefined ? {} : { startedMs: outcome.startedAt.getTime() }),
      });
    },
  };
}
