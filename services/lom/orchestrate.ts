import { RuneError } from '../shared/errors.js';
import type { Logger } from '../shared/logger.js';
import { executionStateName, runStateName } from '../shared/outcome-log.js';
import { settledWithin } from '../shared/settled-within.js';
import type { PlanExecutionRequest, RunRequest } from '../shared/gen/rune/v1/lom.js';
import type { RcsHeader } from '../shared/gen/rune/v1/rcs.js';
import type { ExecutionState } from '../shared/gen/rune/v1/run.js';
import type { Dispatcher } from './dispatch.js';
import { startExecution, type Execution, type ExecutionSettings } from './execution.js';
import { checkReason } from '../shared/reason.js';
import { makePlan, requireAcknowledgement, type Plan, type PlanSources } from './plan.js';

/** Final states of ended executions that are remembered, so that cancelling one of them gets a true answer. */
const ENDED_EXECUTIONS_REMEMBERED_MAX = 10_000;

/** Who called, as the service knows it. */
export interface Caller {
  readonly header: RcsHeader;
  readonly triggeredBy: string;
}

/** What the orchestrator works with. */
export interface OrchestratorDeps {
  readonly sources: PlanSources;
  readonly dispatcher: Dispatcher;
  readonly settings: ExecutionSettings & { readonly executionsMax: number };
  readonly logger: Logger;
}

/** The orchestrator's domain: a request becomes a plan, a plan becomes runs, runs become events. */
export interface Orchestrator {
  plan(request: PlanExecutionRequest): Plan;
  /** Throws a RuneError if the request is refused: then nothing ran. */
  start(request: RunRequest, caller: Caller): Execution;
  /** The execution's state after asking it to stop. Throws EXECUTION_NOT_FOUND. */
  cancel(executionId: string, reason: string): ExecutionState;
  /** Refuses new executions, gives those in flight `graceMs` to end, then cancels them and waits until each has ended. */
  drain(graceMs: number): Promise<void>;
}

/** Makes the orchestrator. */
export function createOrchestrator({
  sources,
  dispatcher,
  settings,
  logger,
}: OrchestratorDeps): Orchestrator {
  const live = new Map<string, Execution>();
  const ended = new Map<string, ExecutionState>();
  let draining = false;

  return {
    plan: (request) => makePlan(request, sources),

    start(request, caller) {
      if (draining)
        throw new RuneError('SERVICE_SHUTTING_DOWN', 'The service is shutting down and accepts nothing new.');
      if (live.size >= settings.executionsMax) {
        throw new RuneError(
          'TOO_MANY_EXECUTIONS',
          `${settings.executionsMax} executions are running already.`,
        );
      }
      const plan = makePlan(request, sources);
      requireAcknowledgement(plan, request.acknowledgeRisk);
      const execution = startExecution(plan, caller, { dispatcher, settings, logger });
      const about = { execution_id: execution.id, trace_id: caller.header.observability?.traceId };
      logger.info('execution accepted', {
        ...about,
        action: plan.action.capability.action,
        runs: plan.runs.length,
        triggered_by: caller.triggeredBy,
        reason: plan.reason,
      });
      live.set(execution.id, execution);
      void execution.finished.then(() => {
        live.delete(execution.id);
        ended.set(execution.id, execution.state);
        if (ended.size > ENDED_EXECUTIONS_REMEMBERED_MAX) {
          const [oldest] = ended.keys();
          ended.delete(oldest as string);
        }
        logger.info('execution ended', {
          ...about,
          state: executionStateName(execution.state),
          counts: Object.fromEntries(
            [...execution.counts].map(([state, count]) => [runStateName(state), count]),
          ),
        });
      });
      return execution;
    },

    cancel(executionId, reason) {
      checkReason(reason);
      const execution = live.get(executionId);
      if (execution !== undefined) {
        execution.cancel(reason);
        return execution.state;
      }
      const state = ended.get(executionId);
      if (state !== undefined) return state;
      throw new RuneError('EXECUTION_NOT_FOUND', 'This service has no such execution.', { executionId });
    },

    async drain(graceMs) {
      draining = true;
      const executions = [...live.values()];
      const all = Promise.all(executions.map((execution) => execution.finished));
      await settledWithin(all, graceMs);
      for (const execution of executions) execution.cancel('the orchestrator shut down');
      await all;
    },
  };
}
