import { RunResponse } from '../../shared/gen/rune/v1/lom.js';
import type { ExecutionState } from '../../shared/gen/rune/v1/run.js';
import type { EncodedLog } from '../dispatch/mediated-message.js';
import type { CommitQueue } from '../store/commit-queue.js';
import type { EventRecord, ExecutionChange, RunRecord } from '../store/store.js';
import type { WatchHub } from '../watch/watch-hub.js';

type ToldEvent = NonNullable<RunResponse['event']>;

/** What happened, as an execution tells it. */
export type Event =
  Exclude<ToldEvent, { $case: 'log' }> | { readonly $case: 'log'; readonly value: EncodedLog };

/** Tag of the field RunResponse.log. */
const LOG = 0x52;

/** Which run it happened to; the execution itself where it is undefined. */
export type EventSubject = Pick<RunRecord, 'runId' | 'node' | 'attempt'>;

/** New values of one run. */
export type RunChange = ExecutionChange['runs'][number];

/** What else an event records, in the same transaction. */
export interface Alongside {
  readonly run?: RunChange;
  readonly state?: ExecutionState;
  readonly ended?: boolean;
}

/** Says that another replica owns the execution by now: what this one does for it no longer counts. */
export class NotOwner extends Error {}

/** Numbers and records what happens in one execution; for its owner. */
export interface Recorder {
  /** The number of the newest event, recorded or on its way to the disk. */
  readonly lastSeq: number;
  /**
   * Records an event. Resolves with its number once it is on disk; rejects with NotOwner, or STORE_UNAVAILABLE when the service
   * stops while the database is away.
   */
  event(subject: EventSubject | undefined, at: Date, event: Event, alongside?: Alongside): Promise<number>;
  /** Records new values of a run without an event. Settles as `event` does, with false if it does not get the lock that it needs. */
  run(change: RunChange): Promise<boolean>;
  /** Settles when the store has kept up; undefined while it has. */
  room(): Promise<void> | undefined;
}

/** Bytes of an event as its log limit counts them: its text, with a newline for each line. */
export function logBytesOf(event: Extract<Event, { $case: 'log' | 'progress' }>): number {
  if (event.$case === 'progress') return event.value.message.length + 1;
  return event.value.textBytes;
}

/** An event as it is recorded. */
export function eventRecord(
  seq: number,
  subject: EventSubject | undefined,
  at: Date,
  event: Event,
): EventRecord {
  const about = subject ?? { runId: '', node: '', attempt: 0 };
  const { runId, node, attempt } = about;
  const head = { header: undefined, executionId: '', seq: 0, runId, node, attempt, at };
  return { seq, node, kind: event.$case, body: bodyOf(head, event) };
}

function bodyOf(head: Omit<RunResponse, 'event'>, event: Event): Buffer {
  if (event.$case !== 'log') return Buffer.from(RunResponse.encode({ ...head, event }).finish());
  const { bytes } = event.value;
  const start = RunResponse.encode({ ...head, event: undefined })
    .uint32(LOG)
    .uint32(bytes.length)
    .finish();
  return Buffer.concat([start, bytes]);
}

/** Makes the recorder of an execution whose newest event is `lastSeq`. */
export function createRecorder(
  execution: { readonly id: string; readonly epoch: number; readonly lastSeq: number },
  commits: CommitQueue,
  hub: Pick<WatchHub, 'notify'>,
): Recorder {
  let lastSeq = execution.lastSeq;

  const add = async (change: Omit<ExecutionChange, 'executionId' | 'epoch'>): Promise<boolean> => {
    const answer = await commits.add({ executionId: execution.id, epoch: execution.epoch, ...change });
    if (answer === 'refused') throw new NotOwner(`The execution ${execution.id} has another owner.`);
    return answer === 'recorded';
  };

  return {
    get lastSeq() {
      return lastSeq;
    },
    async event(subject, at, event, { run, ...rest } = {}) {
      const seq = (lastSeq += 1);
      const record = eventRecord(seq, subject, at, event);
      const runs = run === undefined ? [] : [event.$case === 'outcome' ? { outcomeSeq: seq, ...run } : run];
      await add({ events: [record], runs, ...rest });
      hub.notify(execution.id, record);
      return seq;
    },
    run: (change) => add({ events: [], runs: [change] }),
    room: () => commits.room(),
  };
}
