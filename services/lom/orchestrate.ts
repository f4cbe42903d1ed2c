import { RuneError } from '../shared/errors.js';
import {
  type PlanExecutionRequest,
  type RerunExecutionRequest,
  SubmitExecutionRequest,
} from '../shared/gen/rune/v1/lom.js';
import type { RcsHeader } from '../shared/gen/rune/v1/rcs.js';
import { ExecutionState } from '../shared/gen/rune/v1/run.js';
import { newId } from '../shared/messages/ids.js';
import type { Logger } from '../shared/logging/logger.js';
import { SILENT_METER } from '../shared/metrics/metric.js';
import { executionStateName, runStateName } from '../shared/logging/outcome-log.js';
import { checkReason } from '../shared/messages/reason.js';
import type { EncodedMessage } from '../shared/rpc/encoded-message.js';
import { settledWithin } from '../shared/settled-within.js';
import type { Dispatcher } from './dispatch/dispatch.js';
import { allRuns } from './execution/all-runs.js';
import { beginAtZero } from './execution/begin-at-zero.js';
import { performExecution, type Execution } from './execution/execution.js';
import { createFairSlots } from './execution/fair-slots.js';
import { loadOf, type OrchestratorLoad } from './execution/load.js';
import { isFinal } from '../shared/messages/is-final.js';
import { createLockTurns } from './execution/lock-turns.js';
import type { ExecutionSettings, OwnedExecution } from './execution/owned-execution.js';
import { startOwnership, type OwnershipSettings } from './execution/ownership.js';
import { prepareExecution, type Caller } from './execution/prepare-execution.js';
import type { Mediators } from './mediators/mediators.js';
import type { LomMeter } from './metrics.js';
import { makePlan, type Plan } from './plan/plan.js';
import { createRecorder, type Recorder } from './execution/recorder.js';
import { readRetries } from './execution/read-retries.js';
import { reserveRuns } from './execution/reserve-runs.js';
import { repeatRequest } from './plan/repeat-request.js';
import { replan, type ReplanSources } from './plan/replan.js';
import { createCommitQueue } from './store/commit-queue.js';
import type { ExecutionRecord, Store } from './store/store.js';
import { createWatchHub } from './watch/watch-hub.js';
import { watchExecution, type KnownExecution, type WatchChoice } from './watch/watch.js';

/** Settings of the orchestrator. */
export interface OrchestratorSettings extends ExecutionSettings, OwnershipSettings {
  /** Executions that this process performs at the same time. */
  readonly executionsMax: number;
  /** Runs of all executions that this process performs at the same time. */
  readonly runsMax: number;
  /** For so long a request id means the same execution. */
  readonly requestIdWindowMs: number;
  /** Bytes of events that wait for the store before plugins are held back, and that one transaction writes at most. */
  readonly commitBufferBytesMax: number;
  readonly commitBytesMax: number;
  /** The first that waits for a node looks at its lock at least so often. */
  readonly lockPollMs: number;
  /** A watcher looks into the store at least so often. */
  readonly watchPollMs: number;
  /** How long a stop may wait for the store. */
  readonly storeCloseTimeoutMs: number;
}

/** What the orchestrator works with. */
export interface OrchestratorDeps {
  readonly sources: ReplanSources & { readonly mediators: Mediators };
  readonly dispatcher: Dispatcher;
  readonly store: Store;
  readonly settings: OrchestratorSettings;
  readonly logger: Logger;
  /** Default: nobody counts. */
  readonly meter?: LomMeter;
}

/** An execution that a request made, or that an earlier one with its request id had made. */
export interface Submitted extends KnownExecution {
  readonly existing: boolean;
}

/** The orchestrator's domain: a request becomes a plan, a plan becomes runs, runs become events. */
export interface Orchestrator {
  plan(request: PlanExecutionRequest): Plan;
  /** Resolves once the execution is recorded. Throws a RuneError if the request is refused: then nothing ran. */
  submit(request: SubmitExecutionRequest, caller: Caller): Promise<Submitted>;
  /** Submits a recorded execution again. Throws EXECUTION_NOT_FOUND and EXECUTION_NOT_ENDED besides. */
  rerun(request: RerunExecutionRequest, caller: Caller): Promise<Submitted>;
  /** See watchExecution. */
  watch(
    choice: WatchChoice,
    header: RcsHeader,
    signal: AbortSignal,
    known?: KnownExecution,
  ): AsyncGenerator<EncodedMessage, void, undefined>;
  /** The execution's state after asking it to stop. Throws EXECUTION_NOT_FOUND. */
  cancel(executionId: string, reason: string): Promise<ExecutionState>;
  load(): OrchestratorLoad;
  /**
   * Refuses new executions, gives those in flight `graceMs` to end, and leaves the others as they are recorded: their runs go on,
   * for whoever takes them over.
   */
  drain(graceMs: number): Promise<void>;
}

/** Makes the orchestrator, which first goes on with what others left. Throws STORE_UNAVAILABLE. */
export async function createOrchestrator(deps: OrchestratorDeps): Promise<Orchestrator> {
  const { sources, dispatcher, store, settings, logger, meter = SILENT_METER } = deps;
  const owner = newId();
  const hub = createWatchHub();
  const slots = createFairSlots(settings.runsMax);
  const turns = createLockTurns(settings.lockPollMs);
  const locks = { store, turns, pollMs: settings.lockPollMs };
  const commits = createCommitQueue(
    store,
    { bytesMax: settings.commitBufferBytesMax, groupBytesMax: settings.commitBytesMax },
    logger,
    meter,
  );
  const live = new Map<string, Execution>();
  const creating = new Set<string>();
  let draining = false;

  const perform = (owned: OwnedExecution): Recorder => {
    const { record, header } = owned;
    beginAtZero(meter, record.action);
    const recorder = createRecorder(record, commits, hub);
    const execution = performExecution(owned, {
      dispatcher,
      mediators: sources.mediators,
      recorder,
      slots,
      locks,
      settings,
      logger,
      meter,
    });
    // One that came back here after others had it: what was done for it before does not count any more.
    live.get(record.id)?.leave();
    live.set(record.id, execution);
    void execution.finished.then(() => {
      if (live.get(record.id) === execution) live.delete(record.id);
      if (!isFinal(execution.state)) return;
      const state = executionStateName(execution.state);
      meter.count('rune_lom_executions_total', { action: record.action, state });
      logger.info('execution ended', {
        execution_id: record.id,
        trace_id: header.observability?.traceId,
        state,
        counts: Object.fromEntries(
          [...execution.counts].map(([state, count]) => [runStateName(state), count]),
        ),
      });
    });
    return recorder;
  };

  const resume = async (record: ExecutionRecord): Promise<void> => {
    const runs = await allRuns(store, record.id);
    const request = SubmitExecutionRequest.decode(record.request);
    if (request.header === undefined) throw new Error('A recorded request has no header.');
    const resultBytes = await store.outcomeBytes(record.id);
    const retries = await readRetries(store, record.id, runs);
    const awayMs = await store.awayMs(record.id);
    const intent = replan(record, runs, request, sources);
    const { header } = request;
    perform({ record, runs, resultBytes, awayMs, retries, reserved: new Map(), header, intent });
  };

  const refuseTooMany = (): void => {
    if (draining)
      throw new RuneError('SERVICE_SHUTTING_DOWN', 'The service is shutting down and accepts nothing new.');
    if (live.size < settings.executionsMax) return;
    throw new RuneError('TOO_MANY_EXECUTIONS', `${settings.executionsMax} executions are running already.`);
  };

  const submit = async (
    request: SubmitExecutionRequest,
    caller: Caller,
    rerunOf: string,
  ): Promise<Submitted> => {
    refuseTooMany();
    const origin = { caller, rerunOf, owner, serverKey: store.serverKey };
    const { execution: wanted, runs, header, intent } = prepareExecution(request, origin, sources);
    const { id, action, event } = wanted;
    const reserved = reserveRuns(id, runs, intent, { slots, mediators: sources.mediators, dispatcher });
    creating.add(id);
    try {
      const { execution, existing, placed } = await store.createExecution(
        { ...wanted, runs: reserved.runs },
        settings.requestIdWindowMs,
      );
      if (existing) return { execution, existing, opening: () => undefined };
      meter.count('rune_lom_executions_accepted_total', { action });
      logger.info('execution accepted', {
        execution_id: id,
        trace_id: caller.header.observability?.traceId,
        action,
        runs: runs.length,
        triggered_by: caller.triggeredBy,
        reason: wanted.reason,
      });
      const recorder = perform({
        record: execution,
        ...reserved.keep(placed),
        resultBytes: 0,
        awayMs: new Map(),
        retries: new Map(),
        header,
        intent,
      });
      return { execution, existing, opening: () => (recorder.lastSeq === event.seq ? event : undefined) };
    } finally {
      creating.delete(id);
      reserved.giveBack();
    }
  };

  const ownership = await startOwnership({
    store,
    owner,
    settings,
    performs: (id) => live.has(id) || creating.has(id),
    resume,
    cancel: (id, reason) => live.get(id)?.cancel(reason),
    logger,
    meter,
  });
  store.onChange((executionId) => {
    hub.notify(executionId);
    if (live.has(executionId)) ownership.lookForCancels();
  });
  store.onRelease(turns.wake);

  return {
    plan: (request) => makePlan(request, sources),

    submit: (request, caller) => submit(request, caller, ''),

    async rerun(request, caller) {
      const { executionId } = request;
      const record = await store.execution(executionId);
      if (record === undefined)
        throw new RuneError('EXECUTION_NOT_FOUND', 'There is no such execution.', { executionId });
      if (!isFinal(record.state))
        throw new RuneError('EXECUTION_NOT_ENDED', 'The execution has not ended yet.', { executionId });
      const runs = await allRuns(store, executionId);
      const again = repeatRequest(record, runs, request, sources.registry);
      return submit(again, caller, executionId);
    },

    watch: (choice, header, signal, known) =>
      watchExecution(choice, header, signal, { store, hub, pollMs: settings.watchPollMs }, known),

    async cancel(executionId, reason) {
      checkReason(reason);
      const record = await store.askCancel(executionId, reason);
      if (record === undefined)
        throw new RuneError('EXECUTION_NOT_FOUND', 'There is no such execution.', { executionId });
      const execution = live.get(executionId);
      execution?.cancel(record.cancelReason);
      const state = execution?.state ?? record.state;
      return isFinal(state) ? state : ExecutionState.CANCELLING;
    },

    load: () => loadOf([...live.values()], turns, commits, hub),

    async drain(graceMs) {
      draining = true;
      const executions = [...live.values()];
      await settledWithin(Promise.all(executions.map((execution) => execution.finished)), graceMs);
      for (const execution of live.values()) execution.leave();
      await ownership.stop();
      await commits.close(settings.storeCloseTimeoutMs);
      hub.close(
        new RuneError('SERVICE_SHUTTING_DOWN', 'The service is shutting down; the execution goes on.'),
      );
    },
  };
}
