import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { toEps } from '../../shared/messages/eps.js';
import { RuneError } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';
import { SILENT_METER } from '../../shared/metrics/metric.js';
import { outcomeFields } from '../../shared/logging/outcome-log.js';
import type { RcsHeader } from '../../shared/gen/rune/v1/rcs.js';
import { ExecutionState, Outcome, RunState } from '../../shared/gen/rune/v1/run.js';
import { dispatchGroupOf } from '../dispatch/dispatch-group.js';
import type { Dispatcher, Placement, RunIdentity } from '../dispatch/dispatch.js';
import type { FairSlots } from './fair-slots.js';
import { finalState, isFinal, isFinalRun } from './final-state.js';
import type { LomMeter } from '../metrics.js';
import { measureOutcome } from './measure-outcome.js';
import type { Mediators } from '../dispatch/mediators.js';
import { performRun, type PerformSettings } from './perform-run.js';
import { NotOwner, type Event, type Recorder } from './recorder.js';
import { batchesOf } from '../plan/rollout.js';
import { createRunLog } from './run-log.js';
import type { EarlierAttempt } from './read-retries.js';
import { endOf, nextAttempt, repeatOf } from './retries.js';
import { executionStatus } from './execution-status.js';
import { lockOf, sendableOf, type Intent } from './intent.js';
import type { ExecutionRecord, RunRecord } from '../store/store.js';
import { createLockWaiter, refuseCooling, type LockDeps } from './wait-for-lock.js';

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
  readonly header: RcsHeader;
  /** What is planned for the runs that were not sent; or why they cannot be sent any more. */
  readonly intent: Intent | RuneError;
}

/** One accepted request that this process performs. It needs nobody to go on. */
export interface Execution {
  readonly id: string;
  readonly state: ExecutionState;
  /** How many runs have ended in which state. */
  readonly counts: ReadonlyMap<RunState, number>;
  /** Runs that are being performed at this moment, and those that have not begun or wait for a retry. */
  readonly active: number;
  readonly queued: number;
  /** Asks every run to stop. Asking twice is harmless. */
  cancel(reason: string): void;
  /** Leaves the execution as it is recorded, to be taken over; its runs go on. */
  leave(): void;
  /** Settles when the final state is recorded, or the execution is left; never rejects. */
  readonly finished: Promise<void>;
}

/** The place of a run among those that run at the same time. */
interface Place {
  giveBack: () => void;
}

/** One try of a run, after a pause; `before` is how an earlier one ended that may have started. */
interface Attempt {
  readonly run: RunRecord;
  readonly pauseMs: number;
  readonly before: Outcome | undefined;
}

interface ActiveRun {
  readonly identity: RunIdentity;
  placement: Placement | undefined;
}

function heldBack(node: string, why: string): Outcome {
  const error = toEps(new RuneError('RUN_HELD_BACK', why), { source: 'lom', facts: { node } });
  return Outcome.fromPartial({ state: RunState.SKIPPED, endedAt: new Date(), error });
}

/** Performs an execution from wherever it is recorded to be. */
export function performExecution(owned: OwnedExecution, deps: ExecutionDeps): Execution {
  const { record, header, intent } = owned;
  const { dispatcher, mediators, recorder, slots, locks, settings, logger, meter = SILENT_METER } = deps;
  const { id, epoch } = record;
  const counts = new Map<RunState, number>();
  const active = new Map<string, ActiveRun>();
  const left = new AbortController();
  // Nobody needs to wait for a place any more: the execution is left, or every run is about to be cancelled.
  const hurry = new AbortController();
  setMaxListeners(0, left.signal, hurry.signal);
  const rollout = intent instanceof RuneError ? undefined : intent.plan.rollout;
  const allowance = {
    runBytesMax: settings.logRunBytesMax,
    execution: {
      bytes: owned.runs.reduce((sum, run) => sum + run.logBytes, 0),
      bytesMax: settings.logExecutionBytesMax,
    },
    results: { bytes: owned.resultBytes, bytesMax: settings.resultsExecutionBytesMax },
  };
  let state = record.state;
  let cancelReason: string | undefined;
  let canaryFailed = false;
  const about = { execution_id: id, trace_id: header.observability?.traceId };

  const count = (runState: RunState): void => void counts.set(runState, (counts.get(runState) ?? 0) + 1);
  const status = (): Event => ({ $case: 'execution', value: executionStatus({ ...record, state }, counts) });
  const leave = (thrown?: unknown): void => {
    if (thrown !== undefined && !left.signal.aborted && !(thrown instanceof NotOwner))
      logger.error('an execution is left as it is recorded', { ...about, err: thrown });
    left.abort(thrown ?? new NotOwner('The service leaves the execution.'));
    hurry.abort();
  };

  const failures = (): number =>
    (counts.get(RunState.FAILED) ?? 0) +
    (counts.get(RunState.TIMED_OUT) ?? 0) +
    (counts.get(RunState.LOST) ?? 0);

  const whyHeldBack = (): string | undefined => {
    if (canaryFailed) return 'The canary did not succeed.';
    if (rollout !== undefined && failures() >= rollout.failuresMax) return `${failures()} runs had failed.`;
    return undefined;
  };

  const cancelRun = async ({ identity }: ActiveRun, reason: string): Promise<void> => {
    for (let tried = 1; tried <= settings.cancelTriesMax; tried++) {
      const placement = active.get(identity.runId)?.placement;
      if (placement === undefined || left.signal.aborted) return;
      try {
        return await dispatcher.cancel(placement, identity, reason);
      } catch (thrown) {
        const error = RuneError.from(thrown);
        if (error.name === 'RUN_NOT_FOUND' || error.name === 'WRONG_INSTANCE' || error.name === 'STALE_OWNER')
          return;
        logger.warn('a run could not be cancelled yet', {
          ...about,
          run_id: identity.runId,
          tried,
          err: error,
        });
        await delay(settings.cancelRetryMs, undefined, { signal: left.signal }).catch(() => undefined);
      }
    }
  };

  /** Performs one attempt of a run after the other; resolves when the last one is about to be recorded. */
  const perform = async (first: RunRecord, place: Place): Promise<void> => {
    const earlier = owned.retries.get(first.position);
    const isSent = first.mediator !== '';
    const pauseMs = earlier === undefined || isSent ? 0 : Math.max(0, earlier.nextMs - Date.now());
    let attempt: Attempt | undefined = { run: first, pauseMs, before: earlier?.outcome };
    while (attempt !== undefined) attempt = await performAttempt(attempt, place);
  };

  /** Who waits for its next attempt needs no place; it keeps the lock of its node. */
  const pause = async ({ run, pauseMs }: Attempt, place: Place): Promise<void> => {
    if (pauseMs === 0) return;
    place.giveBack();
    await delay(pauseMs, undefined, { signal: hurry.signal }).catch(() => left.signal.throwIfAborted());
    place.giveBack = await takePlace(run);
  };

  /** Resolves with the next attempt; undefined after the last one. */
  const performAttempt = async (attempt: Attempt, place: Place): Promise<Attempt | undefined> => {
    await pause(attempt, place);
    const { run } = attempt;
    const sendable = sendableOf(run, intent);
    const identity: RunIdentity = {
      executionId: id,
      runId: run.runId,
      attempt: Math.max(1, run.attempt),
      triggeredBy: record.triggeredBy,
      header,
      epoch,
      dispatchGroup:
        sendable instanceof RuneError ? '' : dispatchGroupOf(record, run, sendable.run.transport),
    };
    const lock = sendable instanceof RuneError ? undefined : lockOf(run, sendable);
    const isSent = run.mediator !== '';
    const cooldownMs = sendable instanceof RuneError ? 0 : sendable.plan.action.capability.cooldownMs;
    const log = createRunLog(run, identity.attempt, recorder, allowance, leave, {
      mayWait: epoch > 1 && !isSent,
      // Also between two attempts.
      lock: isSent || run.attempt > 1 ? lock : undefined,
      awayMs: isSent ? (owned.awayMs.get(run.position) ?? 0) : 0,
      cooldown: { action: record.action, forMs: cooldownMs },
    });
    const skipped = (): Outcome | undefined => {
      const why = cancelReason === undefined ? whyHeldBack() : undefined;
      return why === undefined ? undefined : heldBack(run.node, why);
    };
    const waiter =
      lock && createLockWaiter({ executionId: id, position: run.position, node: run.node }, lock, locks);
    let outcome = isSent ? undefined : skipped();
    if (outcome === undefined) {
      const entry: ActiveRun = { identity, placement: undefined };
      active.set(run.runId, entry);
      outcome = await performRun(log, identity, sendable, {
        dispatcher,
        mediators,
        settings,
        async place(placement) {
          const isPlaced = await log.place(placement, lock);
          if (isPlaced) waiter?.end(true);
          // With the lock nobody else can start the action there after this look.
          if (isPlaced && lock?.key !== undefined && cooldownMs > 0)
            await refuseCooling(locks.store, lock.key, record.action, run.node);
          return isPlaced;
        },
        async waitForLock() {
          // Who waits needs none of the places of this process.
          place.giveBack();
          await waiter?.wait(hurry.signal, log.waits);
          left.signal.throwIfAborted();
          place.giveBack = await takePlace(run);
          return skipped();
        },
        action: record.action,
        cancelReason: () => cancelReason,
        onBreak({ address }, error, awayMs) {
          const where = {
            node: run.node,
            run_id: run.runId,
            mediator: address,
            after_event: log.mediatorEvent,
          };
          logger.info('a run is not found again yet', {
            ...about,
            ...where,
            away_ms: Math.round(awayMs),
            err: error,
          });
        },
        signal: left.signal,
        hurry: hurry.signal,
        onAnswer(placement) {
          entry.placement = placement;
          if (cancelReason !== undefined) void cancelRun(entry, cancelReason);
        },
      }).finally(() => {
        active.delete(run.runId);
        waiter?.end(false);
      });
    }
    const { placement } = log;
    const acknowledge = (): void => {
      if (placement !== undefined) dispatcher.acknowledge(placement, run.runId);
    };
    const repeat =
      cancelReason !== undefined || sendable instanceof RuneError
        ? undefined
        : repeatOf(outcome, identity.attempt, sendable.plan.retries);
    if (repeat !== undefined) {
      const { pauseMs, mayHaveStarted } = repeat;
      const next = nextAttempt(run, identity.attempt + 1);
      meter.count('rune_lom_run_retries_total', { error: outcome.error?.errorData?.name ?? '' });
      await log.retry(outcome, mayHaveStarted, next, new Date(Date.now() + pauseMs));
      acknowledge();
      return { run: next, pauseMs, before: mayHaveStarted ? outcome : attempt.before };
    }
    const end = endOf(outcome, attempt.before);
    if (end.state !== RunState.SUCCEEDED && end.state !== RunState.SKIPPED) {
      const fields = { ...about, node: run.node, run_id: run.runId, ...outcomeFields(end) };
      logger.warn('run did not succeed', fields);
    }
    count(end.state);
    // Not waited for, so that the final state can share its transaction; what is recorded stays in order.
    log.end(end).then(() => {
      acknowledge();
      measureOutcome(meter, record.action, end);
    }, leave);
    await recorder.room();
    return undefined;
  };

  /** Runs that were sent before need no place: they hold one already, wherever they are. */
  const takePlace = async (run: RunRecord): Promise<() => void> => {
    if (run.mediator !== '' || hurry.signal.aborted) return () => undefined;
    return slots.take(id, hurry.signal).catch((thrown: unknown) => {
      if (left.signal.aborted) throw thrown;
      return () => undefined;
    });
  };

  const performBatch = async (batch: readonly RunRecord[]): Promise<void> => {
    const waiting = batch.filter((run) => !isFinalRun(run.state)).values();
    const worker = async (): Promise<void> => {
      for (const run of waiting) {
        const place: Place = { giveBack: await takePlace(run) };
        await perform(run, place).finally(() => place.giveBack());
      }
    };
    const parallel = intent instanceof RuneError ? batch.length : intent.plan.maxParallel;
    await Promise.all(Array.from({ length: Math.min(parallel, batch.length) }, worker));
  };

  const performAll = async (): Promise<void> => {
    for (const run of owned.runs) if (isFinalRun(run.state)) count(run.state);
    if (record.cancelAsked) cancel(record.cancelReason);
    const batches = rollout === undefined ? [owned.runs] : batchesOf(owned.runs, rollout);
    for (const [index, batch] of batches.entries()) {
      await performBatch(batch);
      if (index === 0 && rollout?.canary === true) canaryFailed = (counts.get(RunState.SUCCEEDED) ?? 0) === 0;
    }
    state = finalState(counts, cancelReason !== undefined);
    await recorder.event(undefined, new Date(), status(), { state, ended: true });
  };

  function cancel(reason: string): void {
    if (isFinal(state)) return;
    if (cancelReason === undefined) {
      cancelReason = reason;
      state = ExecutionState.CANCELLING;
      recorder.event(undefined, new Date(), status(), { state }).catch(leave);
      hurry.abort();
    }
    // Asked again, every mediator is told again: it may not have heard.
    for (const run of active.values()) void cancelRun(run, reason);
  }

  const finished = performAll().catch(leave);

  return {
    id,
    counts,
    get state() {
      return state;
    },
    get active() {
      return active.size;
    },
    get queued() {
      const ended = [...counts.values()].reduce((sum, runs) => sum + runs, 0);
      return Math.max(0, record.runs - ended - active.size);
    },
    cancel,
    leave,
    finished,
  };
}
