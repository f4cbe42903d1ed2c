import { setTimeout as delay } from 'node:timers/promises';
import { toEps } from '../../shared/messages/eps.js';
import { RuneError } from '../../shared/errors.js';
import { Outcome, RunState } from '../../shared/gen/rune/v1/run.js';
import { outcomeFields } from '../../shared/logging/outcome-log.js';
import { SILENT_METER } from '../../shared/metrics/metric.js';
import { dispatchGroupOf } from '../dispatch/dispatch-group.js';
import type { Placement } from '../dispatch/placement.js';
import type { RunIdentity } from '../dispatch/run-identity.js';
import type { LockRequest, RunRecord } from '../store/store.js';
import { lockOf, sendableOf, type Sendable } from '../plan/intent.js';
import { measureOutcome } from './measure-outcome.js';
import type { ExecutionDeps, OwnedExecution } from './owned-execution.js';
import { performRun } from './perform-run.js';
import type { Reservation } from './reserve-runs.js';
import { endOf, nextAttempt, repeatOf } from './retries.js';
import { createRunLog, type RunLog } from './run-log.js';
import { createLockWaiter, refuseCooling } from './wait-for-lock.js';

/** What its runs know of an execution, and tell it. */
export interface ExecutionCourse {
  /** Why the execution is to stop; undefined while it is not. */
  readonly cancelReason: () => string | undefined;
  /** Why its runs are not to start any more, and are not to be cancelled either; undefined while they may. */
  readonly whyHeldBack: () => string | undefined;
  /** Hears how a run has ended, before that is recorded. */
  readonly onEnd: (state: RunState) => void;
  /** Hears why something cannot be recorded. */
  readonly leave: (thrown: unknown) => void;
  /** Aborts when this process is to leave the runs as they are. */
  readonly left: AbortSignal;
  /** Aborts then too, and when the execution is to stop: no run waits for its place any more. */
  readonly hurry: AbortSignal;
}

/** The runs of one execution that are under way. */
export interface ActiveRuns {
  /** How many are being performed, and do not pause between two attempts. */
  readonly count: number;
  /** Performs one attempt of a run after the other; resolves when the last one is about to be recorded. */
  perform(run: RunRecord): Promise<void>;
  /** Asks the mediator of each to stop it. Asking again is harmless. */
  cancel(reason: string): void;
}

/** The place of a run among those that run at the same time. */
interface Place {
  giveBack: () => void;
}

/**
 * One try of a run, after a pause; `before` is how an earlier one ended that may have started, `reserved` what it holds that is
 * recorded as placed and was not sent.
 */
interface Attempt {
  readonly run: RunRecord;
  readonly pauseMs: number;
  readonly before: Outcome | undefined;
  readonly reserved: Reservation | undefined;
}

/** An attempt that is performed, and where; undefined before a mediator has answered for it, and after its end. */
interface ActiveRun {
  readonly identity: RunIdentity;
  placement: Placement | undefined;
}

function heldBack(node: string, why: string): Outcome {
  const error = toEps(new RuneError('RUN_HELD_BACK', why), { source: 'lom', facts: { node } });
  return Outcome.fromPartial({ state: RunState.SKIPPED, endedAt: new Date(), error });
}

/** For how long the action is not to start on the node again; 0 for no time. */
const cooldownOf = (sendable: Sendable | RuneError): number =>
  sendable instanceof RuneError ? 0 : sendable.plan.action.capability.cooldownMs;

/** Makes what performs the runs of an execution. */
export function createActiveRuns(
  owned: OwnedExecution,
  deps: ExecutionDeps,
  course: ExecutionCourse,
): ActiveRuns {
  const { record, header, intent } = owned;
  const { dispatcher, mediators, recorder, slots, locks, settings, logger, meter = SILENT_METER } = deps;
  const { cancelReason, whyHeldBack, left, hurry } = course;
  const active = new Set<ActiveRun>();
  const allowance = {
    runBytesMax: settings.logRunBytesMax,
    execution: {
      bytes: owned.runs.reduce((sum, run) => sum + run.logBytes, 0),
      bytesMax: settings.logExecutionBytesMax,
    },
    results: { bytes: owned.resultBytes, bytesMax: settings.resultsExecutionBytesMax },
  };
  const about = { execution_id: record.id, trace_id: header.observability?.traceId };

  const cancelRun = async (run: ActiveRun, reason: string): Promise<void> => {
    const { identity } = run;
    for (let tried = 1; tried <= settings.cancelTriesMax; tried++) {
      if (run.placement === undefined || left.aborted) return;
      try {
        return await dispatcher.cancel(run.placement, identity, reason);
      } catch (thrown) {
        const err = RuneError.from(thrown);
        if (err.name === 'RUN_NOT_FOUND' || err.name === 'WRONG_INSTANCE' || err.name === 'STALE_OWNER')
          return;
        logger.warn('a run could not be cancelled yet', { ...about, run_id: identity.runId, tried, err });
        await delay(settings.cancelRetryMs, undefined, { signal: left }).catch(() => undefined);
      }
    }
  };

  const isSent = ({ run, reserved }: Pick<Attempt, 'run' | 'reserved'>): boolean =>
    run.mediator !== '' && reserved === undefined;

  /** Runs that were sent before need no place: they hold one already, wherever they are. */
  const takePlace = async (attempt: Pick<Attempt, 'run' | 'reserved'>): Promise<() => void> => {
    if (isSent(attempt) || hurry.aborted) return () => undefined;
    return slots.take(record.id, hurry).catch((thrown: unknown) => {
      if (left.aborted) throw thrown;
      return () => undefined;
    });
  };

  /** Who waits for its next attempt needs no place; it keeps the lock of its node. */
  const pause = async (attempt: Attempt, place: Place): Promise<void> => {
    if (attempt.pauseMs === 0) return;
    place.giveBack();
    await delay(attempt.pauseMs, undefined, { signal: hurry }).catch(() => left.throwIfAborted());
    place.giveBack = await takePlace(attempt);
  };

  const skipped = ({ node }: RunRecord): Outcome | undefined => {
    const why = whyHeldBack();
    return why === undefined ? undefined : heldBack(node, why);
  };

  const identityOf = (run: RunRecord, sendable: Sendable | RuneError): RunIdentity => ({
    executionId: record.id,
    runId: run.runId,
    attempt: Math.max(1, run.attempt),
    triggeredBy: record.triggeredBy,
    header,
    epoch: record.epoch,
    dispatchGroup: sendable instanceof RuneError ? '' : dispatchGroupOf(record, run, sendable.run.transport),
  });

  /** Performs one attempt from where it is recorded to be, until its outcome. */
  const performRecorded = async (
    attempt: Attempt,
    identity: RunIdentity,
    sendable: Sendable | RuneError,
    log: RunLog,
    lock: LockRequest | undefined,
    place: Place,
  ): Promise<Outcome> => {
    const { run, reserved } = attempt;
    const { position, node, runId } = run;
    const waiter = lock && createLockWaiter({ executionId: record.id, position, node }, lock, locks);
    const entry: ActiveRun = { identity, placement: undefined };
    active.add(entry);
    return performRun(log, identity, sendable, {
      dispatcher,
      mediators,
      settings,
      reserved,
      async place(placement) {
        const isPlaced = placement === reserved?.placement || (await log.place(placement, lock));
        if (isPlaced) waiter?.end(true);
        // With the lock nobody else can start the action there after this look.
        if (isPlaced && lock?.key !== undefined && cooldownOf(sendable) > 0)
          await refuseCooling(locks.store, lock.key, record.action, node);
        return isPlaced;
      },
      async waitForLock() {
        // Who waits needs none of the places of this process.
        place.giveBack();
        await waiter?.wait(hurry, log.waits);
        left.throwIfAborted();
        place.giveBack = await takePlace(attempt);
        return skipped(run);
      },
      action: record.action,
      cancelReason,
      onBreak({ address }, err, awayMs) {
        logger.info('a run is not found again yet', {
          ...about,
          node,
          run_id: runId,
          mediator: address,
          after_event: log.mediatorEvent,
          away_ms: Math.round(awayMs),
          err,
        });
      },
      signal: left,
      hurry,
      onAnswer(placement) {
        entry.placement = placement;
        const reason = cancelReason();
        if (reason !== undefined) void cancelRun(entry, reason);
      },
    }).finally(() => {
      active.delete(entry);
      entry.placement = undefined;
      waiter?.end(false);
    });
  };

  /** Resolves with the next attempt; undefined after the last one. */
  const performAttempt = async (attempt: Attempt, place: Place): Promise<Attempt | undefined> => {
    await pause(attempt, place);
    const { run, reserved } = attempt;
    const sendable = sendableOf(run, intent);
    const identity = identityOf(run, sendable);
    const lock = sendable instanceof RuneError ? undefined : lockOf(run, sendable);
    const sent = isSent(attempt);
    const log = createRunLog(run, identity.attempt, recorder, allowance, course.leave, {
      mayWait: record.epoch > 1 && !sent,
      // Also between two attempts.
      lock: sent || reserved !== undefined || run.attempt > 1 ? lock : undefined,
      awayMs: sent ? (owned.awayMs.get(run.position) ?? 0) : 0,
      cooldown: { action: record.action, forMs: cooldownOf(sendable) },
    });
    const outcome =
      (sent ? undefined : skipped(run)) ??
      (await performRecorded(attempt, identity, sendable, log, lock, place));
    const { placement } = log;
    const acknowledge = (): void => {
      if (placement !== undefined) dispatcher.acknowledge(placement, run.runId);
    };
    const repeat =
      cancelReason() !== undefined || sendable instanceof RuneError
        ? undefined
        : repeatOf(outcome, identity.attempt, sendable.plan.retries);
    if (repeat !== undefined) {
      const { pauseMs, mayHaveStarted } = repeat;
      const next = nextAttempt(run, identity.attempt + 1);
      meter.count('rune_lom_run_retries_total', { error: outcome.error?.errorData?.name ?? '' });
      await log.retry(outcome, mayHaveStarted, next, new Date(Date.now() + pauseMs));
      acknowledge();
      const before = mayHaveStarted ? outcome : attempt.before;
      return { run: next, pauseMs, before, reserved: undefined };
    }
    const end = endOf(outcome, attempt.before);
    if (end.state !== RunState.SUCCEEDED && end.state !== RunState.SKIPPED) {
      const fields = { ...about, node: run.node, run_id: run.runId, ...outcomeFields(end) };
      logger.warn('run did not succeed', fields);
    }
    course.onEnd(end.state);
    // Not waited for, so that the final state can share its transaction; what is recorded stays in order.
    log.end(end).then(() => {
      acknowledge();
      measureOutcome(meter, record.action, end);
    }, course.leave);
    await recorder.room();
    return undefined;
  };

  return {
    get count() {
      return active.size;
    },
    async perform(run) {
      const reserved = owned.reserved.get(run.position);
      const sent = isSent({ run, reserved });
      const place: Place = { giveBack: reserved?.giveBack ?? (await takePlace({ run, reserved })) };
      const earlier = owned.retries.get(run.position);
      const pauseMs = earlier === undefined || sent ? 0 : Math.max(0, earlier.nextMs - Date.now());
      let attempt: Attempt | undefined = { run, pauseMs, before: earlier?.outcome, reserved };
      try {
        while (attempt !== undefined) attempt = await performAttempt(attempt, place);
      } finally {
        place.giveBack();
        reserved?.end();
      }
    },
    cancel(reason) {
      for (const run of active) void cancelRun(run, reason);
    },
  };
}
