import { toDuration } from '../../shared/messages/duration.js';
import { OnLocked } from '../../shared/gen/rune/v1/lom.js';
import { DeliveryMode } from '../../shared/gen/rune/v1/rcs.js';
import type { RunOptions } from '../commands/run.js';
import type { Defaults } from '../config/parse-config.js';

const ON_LOCKED = { queue: OnLocked.QUEUE, refuse: OnLocked.REFUSE } as const;

const AT_LEAST_ONCE = { header: { messageMetadata: { deliveryMode: DeliveryMode.AT_LEAST_ONCE } } };

/** The fields that RunRequest and PlanExecutionRequest share, from the flags, the context's defaults and the parameters. */
export function buildRequest(options: RunOptions, defaults: Defaults, params: Record<string, unknown>) {
  const { nodes, groups, labels, exclude, allowEmpty } = options;
  const timeoutMs = options.timeoutMs ?? defaults.timeoutMs;
  const { batchSize, maxFailures, canary } = options;
  const maxParallel = options.maxParallel ?? defaults.maxParallel;
  const rollout = {
    ...(maxParallel === undefined ? {} : { maxParallel }),
    ...(batchSize === undefined ? {} : { batchSize }),
    ...(maxFailures === undefined ? {} : { maxFailures }),
    ...(canary ? { canary } : {}),
  };
  const { onLocked, queueTimeoutMs, retries, retryDelayMs, atLeastOnce } = options;
  return {
    action: options.action,
    targets: {
      nodes: [...nodes],
      groups: [...groups],
      labels: { ...labels },
      exclude: [...exclude],
      allowEmpty,
    },
    params,
    reason: options.reason ?? defaults.reason ?? '',
    dryRun: options.dryRun,
    transport: options.transport ?? defaults.transport ?? '',
    acknowledgeRisk: options.acknowledgeRisk,
    ...(timeoutMs === undefined ? {} : { timeout: toDuration(timeoutMs) }),
    ...(onLocked === undefined ? {} : { onLocked: ON_LOCKED[onLocked] }),
    ...(retries === undefined ? {} : { maxRetries: retries }),
    ...(atLeastOnce ? AT_LEAST_ONCE : {}),
    ...(retryDelayMs === undefined ? {} : { retryDelay: toDuration(retryDelayMs) }),
    ...(queueTimeoutMs === undefined ? {} : { queueTimeout: toDuration(queueTimeoutMs) }),
    ...(Object.keys(rollout).length === 0 ? {} : { rollout }),
  };
}

/** What `buildRequest` makes. */
export type RequestFields = ReturnType<typeof buildRequest>;
