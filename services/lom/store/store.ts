import type { ExecutionState, RunState } from '../../shared/gen/rune/v1/run.js';
import type { ModuleStore } from './module-store.js';

/** An execution as it is recorded. Times are milliseconds since 1970, by the clock of the database. */
export interface ExecutionRecord {
  readonly id: string;
  readonly state: ExecutionState;
  readonly action: string;
  readonly version: string;
  readonly digest: string;
  readonly reason: string;
  readonly triggeredBy: string;
  readonly correlationId: string;
  readonly requestId: string;
  readonly dryRun: boolean;
  readonly rerunOf: string;
  readonly runs: number;
  readonly createdMs: number;
  /** 0 until the state is final. */
  readonly endedMs: number;
  /** Number of the newest event. */
  readonly lastSeq: number;
  readonly cancelAsked: boolean;
  readonly cancelReason: string;
  /** The replica that performs it, … */
  readonly owner: string;
  /** … and how often it has had a new one. Every write of an owner is conditional on it. */
  readonly epoch: number;
  /** The encoded SubmitExecutionRequest with its accepted header. */
  readonly request: Buffer;
}

/** A new execution, before anybody has performed anything of it. */
export interface NewExecution extends Pick<
  ExecutionRecord,
  | 'id'
  | 'action'
  | 'version'
  | 'digest'
  | 'reason'
  | 'triggeredBy'
  | 'correlationId'
  | 'requestId'
  | 'dryRun'
  | 'rerunOf'
  | 'owner'
  | 'request'
> {
  readonly state: ExecutionState;
  /** HMAC over what the request asks for; empty without a request id. */
  readonly requestDigest: Buffer;
  /** In the order of the plan. */
  readonly runs: readonly NewRun[];
  /** The first event, with the number 1. */
  readonly event: EventRecord;
}

/** A run of a new execution. */
export interface NewRun {
  readonly runId: string;
  readonly node: string;
  /** Where its first attempt is sent as soon as that is recorded; undefined where that is not known yet. */
  readonly placement?: FirstPlacement | undefined;
}

/** Where a run is about to be sent, and what it needs to have for that: without it, nothing of this is recorded. */
export interface FirstPlacement extends Pick<RunRecord, 'mediator' | 'lmmInstanceId' | 'placedMs'> {
  readonly lock?: LockRequest | undefined;
}

/** What became of a call that was to create an execution. */
export interface Created {
  readonly execution: ExecutionRecord;
  /** It was there before, and nothing was written. */
  readonly existing: boolean;
  /** Positions of the runs that are recorded as about to be sent, by this call. */
  readonly placed: ReadonlySet<number>;
}

/** A run as it is recorded. */
export interface RunRecord {
  /** 0 for the first run of the plan. */
  readonly position: number;
  readonly runId: string;
  readonly node: string;
  /** 0 before the first. */
  readonly attempt: number;
  readonly state: RunState;
  /** Where it was sent, recorded before it was sent; empty before. */
  readonly mediator: string;
  readonly lmmInstanceId: string;
  /** Number of the newest event of the mediator that is recorded. */
  readonly mediatorEvent: number;
  /** 0 where it has not happened. */
  readonly placedMs: number;
  readonly startedMs: number;
  readonly endedMs: number;
  /** Bytes of log recorded so far. */
  readonly logBytes: number;
  /** Number of the event that holds the outcome; 0 without one. */
  readonly outcomeSeq: number;
}

/** What kind of event a record holds, for filters: facts are execution, state, outcome, truncation, waiting and retries. */
export type EventKind =
  'execution' | 'state' | 'log' | 'progress' | 'outcome' | 'logTruncated' | 'waiting' | 'retry';

/** An event as it is recorded. */
export interface EventRecord {
  /** From 1, without gaps. */
  readonly seq: number;
  /** Empty for events of the execution itself. */
  readonly node: string;
  readonly kind: EventKind;
  /** The encoded RunResponse without header, execution id and seq. */
  readonly body: Buffer;
}

/** How many runs of an action are under way at one time. */
export interface ActionLimit {
  readonly action: string;
  readonly max: number;
}

/**
 * What a run needs before it is sent: all of it or nothing. It has it from the change that asks for it to the one that ends the run;
 * those who asked before come first.
 */
export interface LockRequest {
  /** The lock of its node, which one run at a time has; undefined for a run that changes nothing there. */
  readonly key?: string | undefined;
  /** A place among the runs of its action. */
  readonly limit?: ActionLimit | undefined;
  readonly runId: string;
  /** How long the run stands in the queue, from the first time it asks; 0 for not at all. */
  readonly waitMs: number;
}

/** New values of a run, and what becomes of its lock. */
export interface StoredRunChange extends Partial<Omit<RunRecord, 'position' | 'node'>> {
  readonly position: number;
  /** Nothing of the run's change is recorded without this lock. */
  readonly lock?: LockRequest;
  /** With a final state: the run leaves the queue, … */
  readonly leavesQueue?: boolean;
  /** … whoever waits for these locks and places hears that they are free, … */
  readonly releases?: readonly string[];
  /** … or the run keeps what it has for so long, because it may be alive on the node. */
  readonly keepsLockMs?: number;
  /** For so long from now, no run of the action is to start where this lock is had. */
  readonly coolsDown?: { readonly key: string; readonly action: string; readonly forMs: number };
}

/** The run that has a lock. Times are milliseconds since 1970, by the clock of the database. */
export interface LockHolder {
  readonly executionId: string;
  readonly runId: string;
  readonly node: string;
  readonly action: string;
  readonly sinceMs: number;
  /** When the lock of a run that was lost is free; 0 for any other run. */
  readonly untilMs: number;
}

/** A lock as it is now. */
export interface NodeLock {
  readonly holder: LockHolder | undefined;
  /** Runs in the queue. */
  readonly waiting: number;
}

/** How much of an action is under way. */
export interface ActionUse {
  readonly action: string;
  /** Runs that have a place. */
  readonly running: number;
}

/** A run in the queue for a lock, or for a place among the runs of its action. */
export interface LockWait {
  /** What it waits for; see limitKeyOf. */
  readonly key: string;
  /** Set if that is a place among the runs of its action. */
  readonly limit: ActionUse | undefined;
  /** 1 for the next one. */
  readonly place: number;
  readonly holder: LockHolder | undefined;
  readonly askedMs: number;
  readonly untilMs: number;
  /** From now until then. */
  readonly leftMs: number;
}

/** What an owner records of one execution at once: all of it or, where the epoch is not its own any more, nothing. */
export interface ExecutionChange {
  readonly executionId: string;
  readonly epoch: number;
  /** In the order of seq, continuing what is recorded. */
  readonly events: readonly EventRecord[];
  /** New values of runs, by position. */
  readonly runs: readonly StoredRunChange[];
  readonly state?: ExecutionState;
  /** The state is final: sets endedMs to now. */
  readonly ended?: boolean;
}

/** Which executions a list shows; what is undefined does not narrow it. */
export interface ExecutionFilter {
  readonly action?: string;
  readonly node?: string;
  readonly states?: readonly ExecutionState[];
  readonly triggeredBy?: string;
  readonly correlationId?: string;
  readonly sinceMs?: number;
  readonly untilMs?: number;
}

/** Which events of an execution are read. */
export interface EventRange {
  readonly fromSeq: number;
  /** Stops after the event that reaches this. At least one event is read if there is one. */
  readonly bytesMax: number;
  /** Only events of these nodes and of the execution itself. */
  readonly nodes?: readonly string[];
  readonly kinds?: readonly EventKind[];
}

/**
 * The record of executions: the same over SQLite (one process) and PostgreSQL (many). A promise that settles means that the rows
 * are on disk. Any call rejects with STORE_UNAVAILABLE while the database cannot be used; then whether a write took place is
 * unknown, except where its documentation says so.
 */
export interface Store {
  /**
   * Records an execution, its runs and its first event; epoch 1. Of the runs that say where they are about to be sent, those that do
   * not get what they need are recorded without that, and stand in no queue. With a request id that the same caller used within
   * `requestIdWindowMs`, nothing is written and the earlier execution is returned; throws REQUEST_ID_REUSED if the digest
   * differs. Also for calls at the same instant on two replicas, exactly one makes the execution. After STORE_UNAVAILABLE it may be
   * called again with the same id: one execution is made.
   */
  createExecution(execution: NewExecution, requestIdWindowMs: number): Promise<Created>;
  execution(id: string): Promise<ExecutionRecord | undefined>;
  /** Newest first, with an empty `request`; `before` is the id of the last one of the page before (ids sort by time). */
  executions(filter: ExecutionFilter, limit: number, before?: string): Promise<ExecutionRecord[]>;
  /** Runs of an execution by position, after the position `after` (-1 for the first page). */
  runs(
    executionId: string,
    page: { readonly after: number; readonly limit: number; readonly states?: readonly RunState[] },
  ): Promise<RunRecord[]>;
  /** How many runs of these executions are in which state, by execution. */
  runCounts(executionIds: readonly string[]): Promise<ReadonlyMap<string, ReadonlyMap<RunState, number>>>;
  /**
   * Records changes in one transaction and resolves with the ids of what was refused: executions that have a newer epoch or are gone,
   * and runs that do not get what they need; those stand in the queue now. In one call at most one change an execution. After
   * STORE_UNAVAILABLE a change may be repeated as it was: what is recorded already stays as it is, and does not count as refused.
   */
  commit(changes: readonly ExecutionChange[]): Promise<ReadonlySet<string>>;
  /** Until when no run of an action is to start where this lock is had; undefined if one may. */
  coolsDownUntilMs(key: string, action: string): Promise<number | undefined>;
  /** How many runs of an action with a limit have a place. */
  actionUse(action: string): Promise<ActionUse>;
  /** Who has a lock, and how many wait for it. */
  nodeLock(key: string): Promise<NodeLock>;
  /** Those runs of an execution that stand in a queue, by position: up to `limit`, after the position `after`. */
  lockWaits(
    executionId: string,
    page: { readonly after: number; readonly limit: number },
  ): Promise<ReadonlyMap<number, LockWait>>;
  /** Of sent runs of which nothing was recorded since their execution changed its owner: how many ms ago that was, by position. */
  awayMs(executionId: string): Promise<ReadonlyMap<number, number>>;
  /** Events by seq. */
  events(executionId: string, range: EventRange): Promise<EventRecord[]>;
  /** Bytes of the events of an execution that hold outcomes. */
  outcomeBytes(executionId: string): Promise<number>;
  /** Notes that somebody wants the execution to end. The first reason stays. Undefined if there is no such execution. */
  askCancel(executionId: string, reason: string): Promise<ExecutionRecord | undefined>;
  /** Of the unfinished executions of an owner, those whose cancel was asked. */
  cancelsAsked(owner: string): Promise<readonly { readonly id: string; readonly reason: string }[]>;

  /**
   * Says that the replica lives and owns what it owns for so long from now on. Resolves with false if its lease was over before
   * this call: what it owned may have a new owner. True for the first call of an owner, which is one life of one process.
   */
  renewLease(owner: string, leaseMs: number): Promise<boolean>;
  /** Ids of the unfinished executions of an owner. */
  unfinished(owner: string): Promise<readonly string[]>;
  /**
   * Gives up to `limit` unfinished executions of replicas whose lease is over to `owner`, and besides those of its own that it
   * names as dropped, each with the next epoch.
   */
  takeOver(owner: string, limit: number, dropped?: readonly string[]): Promise<ExecutionRecord[]>;
  /** Ends the lease at once, so that others need not wait for it. */
  endLease(owner: string): Promise<void>;

  /** Deletes up to `limit` ended executions with all their rows: those that ended `keepMs` ago or earlier, by the clock of the
   * database, and the oldest beyond the newest `keepMax`. Resolves with how many it deleted. */
  deleteOld(keepMs: number, keepMax: number, limit: number): Promise<number>;
  /** Calls the listener with the id of each execution that somebody else changed: another process, or askCancel here. Without
   * guarantee: whoever must know looks for itself now and then. */
  onChange(listener: (executionId: string) => void): void;
  /** The same with the key of each lock and place that a run has released, here or elsewhere. */
  onRelease(listener: (lockKey: string) => void): void;
  /** What registered here. */
  readonly modules: ModuleStore;
  /** Random bytes that all replicas share, made with the database. */
  readonly serverKey: Buffer;
  close(): Promise<void>;
}
