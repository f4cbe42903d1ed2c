import { createHmac } from 'node:crypto';
import { DeliveryMode } from '../../shared/gen/rune/v1/rcs.js';
import { SubmitExecutionRequest } from '../../shared/gen/rune/v1/lom.js';

/** JSON with the members of every object sorted by name. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/**
 * What tells one request from another one with the same request id: everything that it asks for, and the version that its action
 * was resolved to. A keyed hash, so that who reads the store cannot try out parameters.
 */
export function requestDigest(
  serverKey: Buffer,
  request: SubmitExecutionRequest,
  resolvedVersion: string,
): Buffer {
  const { params, header, ...rest } = request;
  const atLeastOnce = header?.messageMetadata?.deliveryMode === DeliveryMode.AT_LEAST_ONCE;
  const asked = SubmitExecutionRequest.toJSON({
    ...rest,
    params: undefined,
    header: undefined,
    requestId: '',
    acknowledgeRisk: false,
  });
  return createHmac('sha256', serverKey)
    .update(
      canonical({ asked, params: params ?? {}, resolvedVersion, ...(atLeastOnce ? { atLeastOnce } : {}) }),
    )
    .digest();
}
