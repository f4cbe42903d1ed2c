import { setTimeout as delay } from 'node:timers/promises';
import { cancelWords } from '../shared/cancel-words.js';
import { toEps } from '../shared/eps.js';
import { RuneError } from '../shared/errors.js';
import { createEventQueue, type EventWeight } from '../shared/event-queue.js';
import { weighEvent } from '../shared/event-weight.js';
import { newId } from '../shared/ids.js';
import { replyHeader } from '../shared/header.js';
import type { Logger } from '../shared/logger.js';
import { outcomeFields } from '../shared/outcome-log.js';
import type { MediateResponse } from '../shared/gen/rune/v1/lmm.js';
import type { ExecutionStatus, RunResponse } from '../shared/gen/rune/v1/lom.js';
import type { RcsHeader } from '../shared/gen/rune/v1/rcs.js';
import { ExecutionState, RunState, StopReason, Outcome } from '../shared/gen/rune/v1/run.js';
import type { Dispatcher, RunIdentity } from './dispatch.js';
import { finalState } from './final-state.js';
import type { Plan, PlannedRun } from './plan.js';

/** Settings of executions. */
export interface ExecutionSettings {
  /** Events kept for a watcher that is behind; beyond this the mediators are held back, … */
  readonly watcherBufferBytesMax: number;
  /** … and after this long the watcher is given up and the execution goes on without it. */
  readonly watcherStallMs: number;
  /** A run whose mediator was lost is ended by its node or mediator within this time. */
  readonly lostStopsWithinMs: number;
  /** Tries to tell a mediator that a run is cancelled, and the wait between them. */
  readonly cancelTriesMax: number;
  readonly cancelRetryMs: number;
}

/** What an execution works with. */
export interface ExecutionDeps {
  readonly dispatcher: Dispatcher;
  readonly settings: ExecutionSettings;
  readonly logger: Logger;
}

/** One accepted request. It needs nobody to go on. */
export interface Execution {
  readonly id: string;
  readonly state: ExecutionState;
  /** How many runs have ended in which state. */
  readonly counts: ReadonlyMap<RunState, number>;
  /** Asks every run to stop. Asking twice is harmless. */
  cancel(reason: string): void;
  /** The events, for one watcher. The watcher may leave at any time. */
  events(signal: AbortSignal): AsyncGenerator<RunResponse, void, undefined>;
  /** Settles when the final state is reached; never rejects. */
  readonly finished: Promise<void>;
}

type Event = NonNullable<RunResponse['event']>;
type Queued = Omit<RunResponse, 'seq' | 'event'> & { readonly event: Event };

const EVENT_TYPE: Readonly<Record<Event['$case'], string>> = {
  execution: 'EXECUTION_STATE_CHANGED',
  state: 'ACTION_STARTED',
  log: 'ACTION_LOG',
  progress: 'ACTION_PROGRESS',
  outcome: 'ACTION_RESULT',
  logTruncated: 'ACTION_LOG_TRUNCATED',
};

function weigh({ event }: Queued): EventWeight {
  const weight = weighEvent(event);
  const resultBytes = event.$case === 'outcome' ? (event.value.result?.outputJson.length ?? 0) : 0;
  return { ...weight, bytes: weight.bytes + resultBytes };
}

/** Starts an execution at once. */
export function startExecution(
  plan: Plan,
  caller: { readonly header: RcsHeader; readonly triggeredBy: string },
  { dispatcher, settings, logger }: ExecutionDeps,
): Execution {
  const id = newId();
  const counts = new Map<RunState, number>();
  const queue = createEventQueue<Queued>(settings.watcherBufferBytesMax, weigh);
  const active = new Map<string, { address: string; accepted: boolean }>();
  const over = new AbortController();
  let state: ExecutionState = ExecutionState.RUNNING;
  let cancelReason: string | undefined;
  let stall: NodeJS.Timeout | undefined;
  let first = true;

  const publish = async (
    run: { id: string; node: string; attempt: number },
    at: Date,
    event: Event,
  ): Promise<void> => {
    const header = replyHeader(caller.header, EVENT_TYPE[event.$case], 'lom', first);
    first = false;
    const room = queue.push({
      header,
      executionId: id,
      runId: run.id,
      node: run.node,
      attempt: run.attempt,
      at,
      event,
    });
    if (room === undefined) return;
    stall ??= setTimeout(() => {
      const message = `Nobody read the events of this execution for ${settings.watcherStallMs / 1000} s.`;
      queue.fail(new RuneError('READER_TOO_SLOW', message, { executionId: id }));
    }, settings.watcherStallMs);
    await room;
    clearTimeout(stall);
    stall = undefined;
  };

  const status = (extra: Partial<ExecutionStatus> = {}): Event => ({
    $case: 'execution',
    value: {
      state,
      counts: [...counts].map(([runState, count]) => ({ state: runState, count })),
      action: plan.action.capability.action,
      version: plan.action.capability.version,
      digest: plan.action.capability.digest,
      runs: plan.runs.length,
      ...extra,
    },
  });
  const publishState = (): Promise<void> => publish({ id: '', node: '', attempt: 0 }, new Date(), status());

  const describe = (error: RuneError, run: PlannedRun, identity: RunIdentity): Outcome['error'] =>
    toEps(error, {
      source: 'lom',
      header: caller.header,
      facts: {
        node: run.node.name,
        action: plan.action.capability.action,
        executionId: id,
        runId: identity.runId,
        attempt: identity.attempt,
        ...error.facts,
      },
    });

  const cancelRun = async (runId: string, reason: string): Promise<void> => {
    for (let tried = 1; tried <= settings.cancelTriesMax; tried++) {
      const placed = active.get(runId);
      if (placed === undefined || !placed.accepted) return;
      try {
        await dispatcher.cancel(placed.address, runId, reason, caller.header);
        return;
      } catch (thrown) {
        const error = RuneError.from(thrown);
        if (error.name === 'RUN_NOT_FOUND') return;
        logger.warn('a run could not be cancelled yet', {
          execution_id: id,
          run_id: runId,
          tried,
          err: error,
        });
        await delay(settings.cancelRetryMs, undefined, { signal: over.signal }).catch(() => undefined);
      }
    }
  };

  /** What is known when a run's stream ended without its outcome. */
  const outcomeWithout = (
    thrown: unknown,
    accepted: boolean,
    run: PlannedRun,
    identity: RunIdentity,
  ): Outcome => {
    const error = RuneError.from(thrown);
    if (!accepted && error.name !== 'OUTCOME_UNKNOWN') {
      return Outcome.fromPartial({
        state: RunState.FAILED,
        endedAt: new Date(),
        error: describe(error, run, identity),
      });
    }
    const message = `The mediator was lost while it had the run: ${error.message}`;
    return Outcome.fromPartial({
      state: RunState.LOST,
      maySurvive: true,
      endedAt: new Date(),
      stoppedOnNodeBy: new Date(Date.now() + settings.lostStopsWithinMs),
      error: describe(new RuneError('OUTCOME_UNKNOWN', message), run, identity),
    });
  };

  const relay = async (
    run: PlannedRun,
    identity: RunIdentity,
    message: MediateResponse,
  ): Promise<Outcome | undefined> => {
    const event = message.event;
    if (event === undefined) return undefined;
    if (event.$case === 'outcome') return event.value;
    if (event.$case === 'accepted') {
      const placed = active.get(identity.runId);
      if (placed !== undefined) placed.accepted = true;
      if (cancelReason !== undefined) void cancelRun(identity.runId, cancelReason);
      return undefined;
    }
    await publish(
      { id: identity.runId, node: run.node.name, attempt: identity.attempt },
      message.at ?? new Date(),
      event,
    );
    return undefined;
  };

  const perform = async (run: PlannedRun, identity: RunIdentity): Promise<Outcome> => {
    if (cancelReason !== undefined) {
      const error = describe(
        new RuneError(
          'RUN_CANCELLED',
          `The run was cancelled before it started${cancelWords(cancelReason)}.`,
        ),
        run,
        identity,
      );
      return Outcome.fromPartial({
        state: RunState.CANCELLED,
        stopReason: StopReason.CANCEL,
        cancelConfirmed: true,
        endedAt: new Date(),
        error,
      });
    }
    let outcome: Outcome | undefined;
    try {
      const placed = (address: string): void => void active.set(identity.runId, { address, accepted: false });
      for await (const message of dispatcher.start(plan, run, identity, placed)) {
        outcome = (await relay(run, identity, message)) ?? outcome;
      }
      return (
        outcome ?? outcomeWithout(new RuneError('INTERNAL', 'its stream ended early.'), true, run, identity)
      );
    } catch (thrown) {
      return outcome ?? outcomeWithout(thrown, active.get(identity.runId)?.accepted ?? false, run, identity);
    } finally {
      active.delete(identity.runId);
    }
  };

  const performAll = async (): Promise<void> => {
    const waiting = plan.runs.values();
    const worker = async (): Promise<void> => {
      for (const run of waiting) {
        const identity = {
          executionId: id,
          runId: newId(),
          attempt: 1,
          triggeredBy: caller.triggeredBy,
          header: caller.header,
        };
        const outcome = await perform(run, identity);
        counts.set(outcome.state, (counts.get(outcome.state) ?? 0) + 1);
        if (outcome.state !== RunState.SUCCEEDED) {
          logger.warn('run did not succeed', {
            execution_id: id,
            trace_id: caller.header.observability?.traceId,
            node: run.node.name,
            run_id: identity.runId,
            ...outcomeFields(outcome),
          });
        }
        await publish(
          { id: identity.runId, node: run.node.name, attempt: 1 },
          outcome.endedAt ?? new Date(),
          {
            $case: 'outcome',
            value: outcome,
          },
        );
      }
    };
    await publishState();
    await Promise.all(Array.from({ length: Math.min(plan.maxParallel, plan.runs.length) }, worker));
    state = finalState(counts, cancelReason !== undefined);
    over.abort();
    await publishState();
    queue.end();
  };

  const finished = performAll().catch((thrown: unknown) => {
    logger.error('an execution met an unexpected fault', { execution_id: id, err: thrown });
    state = ExecutionState.FAILED;
    queue.fail(RuneError.from(thrown));
  });

  return {
    id,
    counts,
    get state() {
      return state;
    },
    cancel(reason) {
      if (state !== ExecutionState.RUNNING && state !== ExecutionState.CANCELLING) return;
      if (cancelReason === undefined) {
        cancelReason = reason;
        state = ExecutionState.CANCELLING;
        void publishState();
      }
      // Asked again, every mediator is told again: it may not have heard.
      for (const runId of active.keys()) void cancelRun(runId, reason);
    },
    async *events(signal) {
      let seq = 0;
      try {
        for await (const event of queue.read(signal)) yield { ...event, seq: ++seq };
      } finally {
        queue.abandon();
        clearTimeout(stall);
      }
    },
    finished,
  };
}
