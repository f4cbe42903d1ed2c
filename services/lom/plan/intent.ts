import { RuneError } from '../../shared/errors.js';
import type { Plan, PlannedRun } from './plan.js';
import type { LockRequest, RunRecord } from '../store/store.js';

/** What sends the runs of an execution, by node. */
export interface Intent {
  readonly plan: Plan;
  readonly runs: ReadonlyMap<string, PlannedRun>;
}

/** What a run needs to be sent somewhere. */
export interface Sendable {
  readonly plan: Plan;
  readonly run: PlannedRun;
}

/** What a run needs to have before it is sent; undefined if nothing. */
export function lockOf({ runId }: RunRecord, { plan, run }: Sendable): LockRequest | undefined {
  const { locksNodes, limit, queueWaitMs: waitMs } = plan;
  if (!locksNodes && limit === undefined) return undefined;
  return { key: locksNodes ? run.node.lockKey : undefined, limit, runId, waitMs };
}

/** What sends one run, or why nothing can. */
export function sendableOf(run: RunRecord, intent: Intent | RuneError): Sendable | RuneError {
  if (intent instanceof RuneError) return intent;
  const planned = intent.runs.get(run.node);
  if (planned !== undefined) return { plan: intent.plan, run: planned };
  const message = `While the execution waited, ${run.node} left the inventory or went into maintenance.`;
  return new RuneError('NODE_NOT_FOUND', message, { node: run.node });
}
