import { toDuration } from '../../shared/messages/duration.js';
import { RuneError } from '../../shared/errors.js';
import {
  ModuleHealth,
  type HeartbeatModuleRequest,
  type HeartbeatModuleResponse,
} from '../../shared/gen/rune/v1/registry.js';
import { pulseOf } from './lifecycle.js';
import type { LiveModules } from './live-modules.js';
import type { ModuleRecord } from '../store/module-record.js';
import { requireOwnLive } from './module-rights.js';
import type { ModuleRegistryDeps } from './registry-deps.js';

const HEALTH_REASON_CHARS_MAX = 300;

/** Takes what a module says of itself. Throws the refusals of MRS, and MODULE_NOT_REGISTERED where it has to register again. */
export async function heartbeatModule(
  modules: LiveModules,
  { settings: { timing }, onRoom }: ModuleRegistryDeps,
  request: HeartbeatModuleRequest,
  caller: string,
): Promise<Omit<HeartbeatModuleResponse, 'header'>> {
  const { registrationId, healthStatus, healthReason, load, lastActivity, draining } = request;
  if (!Object.values<number>(ModuleHealth).includes(healthStatus))
    throw new RuneError('FIELD_OUT_OF_RANGE', 'There is no such health.', { field: 'health_status' });
  if (healthReason.length > HEALTH_REASON_CHARS_MAX)
    throw new RuneError('FIELD_OUT_OF_RANGE', 'The reason is too long.', {
      field: 'health_reason',
      expectedFormat: `at most ${HEALTH_REASON_CHARS_MAX} characters`,
    });
  const before = await requireOwnLive(modules, registrationId, caller);
  const health = healthStatus === ModuleHealth.UNSPECIFIED ? ModuleHealth.HEALTHY : healthStatus;
  const record: ModuleRecord = {
    ...before,
    beat: { health, healthReason, load, lastActivity, draining },
    heartbeatMs: Math.max(modules.nowMs(), before.heartbeatMs + 1),
    expiresMs: before.renews ? modules.nowMs() + timing.lifeMs : before.expiresMs,
  };
  const wasWell = modules.lifecycle(before).state;
  modules.beat(record);
  const { state } = modules.lifecycle(record);
  if (state !== wasWell) modules.changed();
  else onRoom(Math.max(0, (load?.runsMax ?? 0) - (load?.runsActive ?? 0)));
  // Others are to hear of it soon, not only when it is due.
  if (before.beat.draining !== draining || before.beat.health !== health) await modules.recordBeats();
  const pulse = pulseOf(record, timing);
  return {
    state,
    heartbeatInterval: pulse && toDuration(pulse.heartbeatMs),
    expiresAt: new Date(record.expiresMs),
  };
}
