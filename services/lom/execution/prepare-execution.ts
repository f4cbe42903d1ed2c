import { RuneError } from '../../shared/errors.js';
import { SubmitExecutionRequest } from '../../shared/gen/rune/v1/lom.js';
import { DeliveryMode, type RcsHeader } from '../../shared/gen/rune/v1/rcs.js';
import { ExecutionState } from '../../shared/gen/rune/v1/run.js';
import { newId } from '../../shared/messages/ids.js';
import type { Intent } from '../plan/intent.js';
import { makePlan, requireAcknowledgement, type PlanSources } from '../plan/plan.js';
import { recordedParams } from '../plan/recorded-params.js';
import { requestDigest } from '../plan/request-digest.js';
import type { NewExecution, RunRecord } from '../store/store.js';
import { executionStatus } from './execution-status.js';
import { newRun } from './new-run.js';
import { eventRecord } from './recorder.js';

const REQUEST_ID_CHARS_MAX = 128;

/** Who called, as the service knows it. */
export interface Caller {
  readonly header: RcsHeader;
  readonly triggeredBy: string;
}

/** What an execution has that does not come from its request. */
export interface ExecutionOrigin {
  readonly caller: Caller;
  /** The id of the execution that it repeats; empty for none. */
  readonly rerunOf: string;
  readonly owner: string;
  /** Makes the digests of requests. */
  readonly serverKey: Buffer;
}

/** A new execution that is not recorded yet, and what performs it. */
export interface PreparedExecution {
  /** What is to be recorded besides its runs. */
  readonly execution: Omit<NewExecution, 'runs'>;
  readonly runs: readonly RunRecord[];
  readonly header: RcsHeader;
  readonly intent: Intent;
}

/** Makes a new execution of what a request asks for. Throws a RuneError if the request is refused. */
export function prepareExecution(
  request: SubmitExecutionRequest,
  { caller, rerunOf, owner, serverKey }: ExecutionOrigin,
  sources: PlanSources,
): PreparedExecution {
  const { requestId } = request;
  checkRequestId(requestId);
  const plan = makePlan(request, sources);
  const header = withDelivery(caller.header, plan.retries.atLeastOnce);
  requireAcknowledgement(plan, request.acknowledgeRisk);
  const { action, version, digest } = plan.action.capability;
  const id = newId();
  const runs = plan.runs.map(({ node }, position) => newRun(position, newId(), node.name));
  const state = ExecutionState.RUNNING;
  const first = executionStatus({ state, action, version, digest, runs: runs.length }, new Map());
  const params = recordedParams(request.params ?? {}, plan.action);
  return {
    execution: {
      id,
      state,
      action,
      version,
      digest,
      reason: plan.reason,
      triggeredBy: caller.triggeredBy,
      correlationId: caller.header.messageMetadata?.correlationId ?? '',
      requestId,
      requestDigest: requestId === '' ? Buffer.alloc(0) : requestDigest(serverKey, request, version),
      dryRun: plan.dryRun,
      rerunOf,
      owner,
      request: Buffer.from(SubmitExecutionRequest.encode({ ...request, params, header }).finish()),
      event: eventRecord(1, undefined, new Date(), { $case: 'execution', value: first }),
    },
    runs,
    header,
    intent: { plan, runs: new Map(plan.runs.map((run) => [run.node.name, run])) },
  };
}

/** The header of a request as it is recorded: a rerun is delivered as what it repeats was. */
function withDelivery(header: RcsHeader, atLeastOnce: boolean): RcsHeader {
  const { messageMetadata } = header;
  if (!atLeastOnce || messageMetadata === undefined) return header;
  return { ...header, messageMetadata: { ...messageMetadata, deliveryMode: DeliveryMode.AT_LEAST_ONCE } };
}

function checkRequestId(requestId: string): void {
  if (requestId.length <= REQUEST_ID_CHARS_MAX && !requestId.includes('\0')) return;
  throw new RuneError('FIELD_OUT_OF_RANGE', 'The request id cannot be kept.', {
    field: 'request_id',
    expectedFormat: `at most ${REQUEST_ID_CHARS_MAX} characters, none of them NUL`,
  });
}
