import { RuneError } from '../../shared/errors.js';
import { SubmitExecutionRequest, type RerunExecutionRequest } from '../../shared/gen/rune/v1/lom.js';
import { RunState } from '../../shared/gen/rune/v1/run.js';
import type { Registry } from '../actions/registry.js';
import type { ExecutionRecord, RunRecord } from '../store/store.js';
import { requireSecrets, withSecrets } from './recorded-params.js';

/**
 * The request that submits a recorded execution again: the same version of the action, on all of its nodes or on those where it did
 * not succeed. Throws a RuneError if none is left, there is no such action any more, or a secret is not given again.
 */
export function repeatRequest(
  record: ExecutionRecord,
  runs: readonly RunRecord[],
  request: RerunExecutionRequest,
  registry: Pick<Registry, 'get'>,
): SubmitExecutionRequest {
  const { executionId } = request;
  const wanted = request.onlyFailed ? runs.filter((run) => run.state !== RunState.SUCCEEDED) : runs;
  const nodes = wanted.map((run) => run.node);
  if (nodes.length === 0)
    throw new RuneError('NO_NODES_MATCHED', 'No run of the execution is left to repeat.', { executionId });
  const first = SubmitExecutionRequest.decode(record.request);
  const action = `${record.action}@${record.version}`;
  const about = registry.get(action);
  const params = withSecrets(first.params ?? {}, request.secretParams ?? {}, about);
  requireSecrets(params, about);
  return {
    ...first,
    action,
    params,
    targets: { nodes, groups: [], labels: {}, exclude: [], allowEmpty: false },
    requestId: request.requestId,
    reason: request.reason || record.reason,
    acknowledgeRisk: request.acknowledgeRisk,
  };
}
