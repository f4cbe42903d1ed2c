import { RuneError } from '../../shared/errors.js';
import type { MediatedRun } from '../../shared/gen/rune/v1/lmm.js';
import { RunState, StopReason, type Outcome } from '../../shared/gen/rune/v1/run.js';
import type { Logger } from '../../shared/logging/logger.js';
import { createEventLog, type EventLog } from './event-log.js';
import type { KeptEventsLimits } from './kept-events.js';
import type { LiveRun } from './live-run.js';
import { createReplayBudget } from './replay-budget.js';
import { createRunMemory } from './run-memory.js';

/** Run ids remembered after their events are forgotten, so that none is started twice. */
const REMEMBERED_RUNS_MAX = 100_000;
/** What a kept run costs besides its outcome, log and progress. */
const KEPT_RUN_BYTES = 2048;

/** How much of runs is kept for owners that come back. */
export interface KeptRunsSettings extends KeptEventsLimits {
  /** What all runs together keep for readers that come back. */
  readonly replayTotalBytesMax: number;
  /** An outcome that nobody acknowledges is kept for this long, … */
  readonly outcomeKeepMs: number;
  /** … if there are no more than these, … */
  readonly outcomesMax: number;
  /** … and if they are no larger than this together: the oldest go first. */
  readonly outcomesTotalBytesMax: number;
}

/** What a run is called. */
export type RunAbout = Pick<MediatedRun, 'runId' | 'executionId' | 'attempt' | 'node' | 'action'>;

/** Who asks for a run: the number of its ownership, which only grows. */
export interface RunOwner {
  readonly runId: string;
  readonly ownerEpoch: number;
}

/** What is kept at this moment, and what was lost since the start. */
export interface KeptCounts {
  /** Outcomes that wait to be acknowledged. */
  readonly outcomes: number;
  readonly outcomesBytes: number;
  /** Outcomes that were given up before anybody had fetched them. */
  readonly unfetched: number;
  /** Log and progress that readers have not got yet, and what is kept for those that come back. */
  readonly unreadBytes: number;
  readonly replayBytes: number;
  /** Log that was dropped, before and after its reader had got it. */
  readonly droppedUnreadBytes: number;
  readonly droppedReadBytes: number;
}

/** The runs of this process: those that go on, those that ended, and what is remembered of all others. */
export interface KeptRuns {
  /**
   * Throws STALE_OWNER or RUN_ALREADY_EXISTS unless this owner may start the run. One that is only adopted may have been started here
   * before, as long as it is not kept any more.
   */
  checkStart(owner: RunOwner, isAdopted: boolean): void;
  /** Keeps a run from its start on. With no reader for `orphanAfterMs` it is stopped. */
  add(
    about: RunAbout,
    ownerEpoch: number,
    orphanAfterMs: number,
    begin: (log: EventLog) => LiveRun,
  ): { readonly log: EventLog; readonly finished: Promise<Outcome> };
  /**
   * The events of a run for its owner. Throws STALE_OWNER; RUN_NOT_FOUND if it was never here and now never will be for an older owner;
   * RUN_RECORD_GONE if it may have been.
   */
  attach(owner: RunOwner): EventLog;
  /** Asks a run to stop, if it has not ended. Throws STALE_OWNER or RUN_NOT_FOUND. */
  stop(owner: RunOwner, reason: StopReason, words: string): void;
  /** Forgets ended runs; other ids are passed over. */
  acknowledge(runIds: readonly string[]): void;
  list(): MediatedRun[];
  /** Runs that have not ended. */
  live(): LiveRun[];
  readonly liveCount: number;
  kept(): KeptCounts;
  /** Settles when no outcome waits for an owner who may still come for it. */
  fetched(): Promise<void>;
}

interface Run {
  readonly about: RunAbout;
  readonly log: EventLog;
  /** Undefined once it has ended: nothing of what ran it may be held for an outcome that nobody fetches. */
  live: LiveRun | undefined;
  ownerEpoch: number;
  /** Final once it has ended. */
  state: RunState;
  /** Its owner was given up. */
  orphaned: boolean;
  /** Until its end the orphan limit, then the time that its outcome is kept. */
  timer: NodeJS.Timeout | undefined;
}

/** Keeps no runs yet. */
export function createKeptRuns(settings: KeptRunsSettings, logger: Logger): KeptRuns {
  const runs = new Map<string, Run>();
  /** Those of them that have ended, the oldest first. */
  const ended = new Map<string, Run>();
  const memory = createRunMemory(REMEMBERED_RUNS_MAX);
  const budget = createReplayBudget(settings.replayTotalBytesMax);
  let outcomesBytes = 0;
  let unfetched = 0;
  let wakeFetched = (): void => undefined;

  const costOf = (run: Run): number => run.log.outcomeBytes + KEPT_RUN_BYTES;

  const stale = ({ runId, ownerEpoch }: RunOwner, seenEpoch: number): RuneError =>
    new RuneError(
      'STALE_OWNER',
      `The call is of owner epoch ${ownerEpoch}, and ${seenEpoch} has been seen for this run.`,
      { runId },
    );

  /** Takes note of who owns a run now. */
  const own = (run: Run, owner: RunOwner): void => {
    if (owner.ownerEpoch < run.ownerEpoch) throw stale(owner, run.ownerEpoch);
    run.ownerEpoch = owner.ownerEpoch;
  };

  const forget = (run: Run): void => {
    const { runId } = run.about;
    clearTimeout(run.timer);
    runs.delete(runId);
    ended.delete(runId);
    outcomesBytes -= costOf(run);
    run.log.release();
    memory.remember(runId, { ownerEpoch: run.ownerEpoch, started: true });
    wakeFetched();
  };

  const giveUp = (run: Run): void => {
    if (!run.log.delivered) {
      unfetched += 1;
      const { runId, executionId, node } = run.about;
      logger.warn('nobody fetched the outcome of a run', { run_id: runId, execution_id: executionId, node });
    }
    forget(run);
  };

  const keepOutcome = (run: Run, outcome: Outcome): void => {
    clearTimeout(run.timer);
    run.live = undefined;
    run.state = outcome.state;
    run.orphaned = outcome.stopReason === StopReason.ORPHANED;
    run.timer = setTimeout(() => giveUp(run), settings.outcomeKeepMs).unref();
    ended.set(run.about.runId, run);
    outcomesBytes += costOf(run);
    for (const oldest of ended.values()) {
      if (ended.size <= settings.outcomesMax && outcomesBytes <= settings.outcomesTotalBytesMax) break;
      giveUp(oldest);
    }
  };

  return {
    checkStart(owner, isAdopted) {
      const { runId } = owner;
      const run = runs.get(runId);
      if (run !== undefined) own(run, owner);
      const known = memory.find(runId);
      if (known !== undefined && owner.ownerEpoch < known.ownerEpoch) throw stale(owner, known.ownerEpoch);
      if (run !== undefined || (known?.started === true && !isAdopted))
        throw new RuneError('RUN_ALREADY_EXISTS', 'This run was started before.', { runId });
      if (known === undefined && !isAdopted && memory.isStale(runId)) {
        const message = 'The run id is so old that this mediator cannot tell whether it was started before.';
        throw new RuneError('RUN_ALREADY_EXISTS', message, { runId });
      }
    },

    add(about, ownerEpoch, orphanAfterMs, begin) {
      const arm = (): void => {
        run.timer = setTimeout(() => run.live?.stop(StopReason.ORPHANED), orphanAfterMs);
      };
      const log = createEventLog(settings, budget, {
        attached() {
          if (run.live !== undefined) clearTimeout(run.timer);
        },
        left() {
          if (run.live !== undefined) arm();
          wakeFetched();
        },
      });
      const run: Run = {
        about,
        log,
        live: undefined,
        ownerEpoch,
        state: RunState.QUEUED,
        orphaned: false,
        timer: undefined,
      };
      memory.take(about.runId);
      runs.set(about.runId, run);
      const { finished } = (run.live = begin(log));
      arm();
      void finished.then((outcome) => keepOutcome(run, outcome));
      return { log, finished };
    },

    attach(owner) {
      const { runId, ownerEpoch } = owner;
      const run = runs.get(runId);
      if (run !== undefined) {
        own(run, owner);
        return run.log;
      }
      const known = memory.find(runId);
      if (known !== undefined && ownerEpoch < known.ownerEpoch) throw stale(owner, known.ownerEpoch);
      if (known === undefined ? !memory.isNew(runId) : known.started) {
        const message = 'This mediator had the run, or cannot tell, and knows nothing of it any more.';
        throw new RuneError('RUN_RECORD_GONE', message, { runId });
      }
      memory.remember(runId, { ownerEpoch, started: false });
      throw new RuneError('RUN_NOT_FOUND', 'This mediator never had the run.', { runId });
    },

    stop(owner, reason, words) {
      const { runId } = owner;
      const run = runs.get(runId);
      if (run === undefined) {
        throw new RuneError('RUN_NOT_FOUND', 'This mediator has no such run.', { runId });
      }
      own(run, owner);
      run.live?.stop(reason, words);
    },

    acknowledge(runIds) {
      for (const runId of runIds) {
        const run = ended.get(runId);
        if (run !== undefined) forget(run);
      }
    },

    list: () =>
      [...runs.values()].map(({ about, live, state, log, ownerEpoch }) => ({
        ...about,
        state: live?.started === true ? RunState.RUNNING : state,
        attached: log.attached,
        lastEvent: log.lastEvent,
        ownerEpoch,
      })),

    live: () => [...runs.values()].flatMap(({ live }) => (live === undefined ? [] : [live])),

    get liveCount() {
      return runs.size - ended.size;
    },

    kept: () => ({
      outcomes: ended.size,
      outcomesBytes,
      unfetched,
      unreadBytes: [...runs.values()].reduce((sum, { log }) => sum + log.unreadBytes, 0),
      replayBytes: budget.bytes,
      droppedUnreadBytes: budget.droppedUnreadBytes,
      droppedReadBytes: budget.droppedReadBytes,
    }),

    async fetched() {
      const isFetched = ({ log, orphaned }: Run): boolean => log.delivered || orphaned;
      while (![...ended.values()].every(isFetched)) {
        await new Promise<void>((resolve) => (wakeFetched = resolve));
      }
    },
  };
}
