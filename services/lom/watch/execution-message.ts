import { SubmitExecutionRequest, type Execution, type ExecutionRun } from '../../shared/gen/rune/v1/lom.js';
import type { Outcome, RunState } from '../../shared/gen/rune/v1/run.js';
import { waitMessage } from './lock-message.js';
import type { ExecutionRecord, LockWait, RunRecord } from '../store/store.js';

const timeOf = (ms: number): Date | undefined => (ms === 0 ? undefined : new Date(ms));

/** A recorded execution as callers see it, without what its caller asked for. */
export function executionMessage(record: ExecutionRecord, counts: ReadonlyMap<RunState, number>): Execution {
  return {
    executionId: record.id,
    state: record.state,
    action: record.action,
    version: record.version,
    digest: record.digest,
    reason: record.reason,
    triggeredBy: record.triggeredBy,
    correlationId: record.correlationId,
    requestId: record.requestId,
    dryRun: record.dryRun,
    createdAt: timeOf(record.createdMs),
    endedAt: timeOf(record.endedMs),
    runs: record.runs,
    counts: [...counts].map(([state, count]) => ({ state, count })),
    lastSeq: record.lastSeq,
    cancelAsked: record.cancelAsked,
    cancelReason: record.cancelReason,
    rerunOf: record.rerunOf,
    targets: undefined,
    params: undefined,
  };
}

/** The same with targets and parameters as the caller wrote them. */
export function fullExecutionMessage(
  record: ExecutionRecord,
  counts: ReadonlyMap<RunState, number>,
): Execution {
  const { targets, params } = SubmitExecutionRequest.decode(record.request);
  return { ...executionMessage(record, counts), targets, params };
}

/** A recorded run as callers see it. */
export function runMessage(
  record: RunRecord,
  outcome: Outcome | undefined,
  wait: LockWait | undefined,
): ExecutionRun {
  return {
    runId: record.runId,
    node: record.node,
    attempt: record.attempt,
    state: record.state,
    mediator: record.mediator,
    startedAt: timeOf(record.startedMs),
    endedAt: timeOf(record.endedMs),
    outcome,
    waiting: wait === undefined ? undefined : waitMessage(wait),
  };
}
