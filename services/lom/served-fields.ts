import { RuneError } from '../shared/errors.js';
import type { PlanExecutionRequest, Rollout } from '../shared/gen/rune/v1/lom.js';

/**
 * Refuses a request in which a field is set whose behaviour this release does not serve: FIELD_NOT_SUPPORTED, naming the
 * field. Nothing that a caller asks for is ever ignored.
 */
export function refuseUnservedFields(request: PlanExecutionRequest): void {
  const rollout: Rollout | undefined = request.rollout;
  const set: Record<string, boolean> = {
    request_id: request.requestId !== '',
    'rollout.batch_size': rollout !== undefined && rollout.batchSize !== '',
    'rollout.max_failures': rollout !== undefined && rollout.maxFailures !== '',
    'rollout.canary': rollout !== undefined && rollout.canary,
  };
  const fields = Object.keys(set).filter((field) => set[field]);
  if (fields.length === 0) return;
  throw new RuneError('FIELD_NOT_SUPPORTED', `This release does not serve ${fields.join(', ')}.`, {
    field: fields[0] as string,
    validationErrors: fields.map((field) => ({
      field,
      description: 'is not served by this release',
      reason: 'NOT_SUPPORTED',
    })),
  });
}
