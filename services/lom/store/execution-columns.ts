import type { ExecutionRecord, NewExecution } from './store.js';
import type { StoreTables } from './store-tables.js';

/** The columns of an execution by the names of its record, without the request; for select and returning. */
export const EXECUTION_COLUMNS = [
  'executions.id',
  'executions.state',
  'executions.action',
  'executions.version',
  'executions.digest',
  'executions.reason',
  'executions.triggered_by as triggeredBy',
  'executions.correlation_id as correlationId',
  'executions.request_id as requestId',
  'executions.dry_run as dryRun',
  'executions.rerun_of as rerunOf',
  'executions.runs',
  'executions.created_ms as createdMs',
  'executions.ended_ms as endedMs',
  'executions.last_seq as lastSeq',
  'executions.cancel_asked as cancelAsked',
  'executions.cancel_reason as cancelReason',
  'executions.owner',
  'executions.epoch',
] as const;

/** What those columns give. */
export type ExecutionRow = Omit<ExecutionRecord, 'dryRun' | 'cancelAsked' | 'request'> & {
  readonly dryRun: number;
  readonly cancelAsked: number;
};

/** The record of a row and its request. */
export function toExecutionRecord(row: ExecutionRow, request: Buffer): ExecutionRecord {
  return { ...row, dryRun: row.dryRun === 1, cancelAsked: row.cancelAsked === 1, request };
}

/** The row that a new execution becomes, but for its time. */
type ExecutionValues = Omit<StoreTables['executions'], 'created_ms'>;

/** The columns of that row. */
export const EXECUTION_VALUES = Object.keys({
  id: true,
  state: true,
  action: true,
  version: true,
  digest: true,
  reason: true,
  triggered_by: true,
  correlation_id: true,
  request_id: true,
  request_digest: true,
  dry_run: true,
  rerun_of: true,
  runs: true,
  ended_ms: true,
  last_seq: true,
  cancel_asked: true,
  cancel_reason: true,
  owner: true,
  epoch: true,
} satisfies Record<keyof ExecutionValues, true>) as (keyof ExecutionValues)[];

/** The values of a new execution in that row. */
export function toExecutionValues(execution: NewExecution): ExecutionValues {
  return {
    id: execution.id,
    state: execution.state,
    action: execution.action,
    version: execution.version,
    digest: execution.digest,
    reason: execution.reason,
    triggered_by: execution.triggeredBy,
    correlation_id: execution.correlationId,
    request_id: execution.requestId,
    request_digest: execution.requestDigest,
    dry_run: execution.dryRun ? 1 : 0,
    rerun_of: execution.rerunOf,
    runs: execution.runs.length,
    ended_ms: 0,
    last_seq: 1,
    cancel_asked: 0,
    cancel_reason: '',
    owner: execution.owner,
    epoch: 1,
  };
}
