import { durationText } from '../../shared/messages/duration.js';
import { ModuleType } from '../../shared/gen/rune/v1/mrs.js';
import { ModuleHealth, ModuleState } from '../../shared/gen/rune/v1/registry.js';
import type { ModuleRecord } from '../store/module-record.js';

/** How often a kind of module says that it lives, and how late it may be. */
export interface Pulse {
  readonly heartbeatMs: number;
  readonly graceMs: number;
}

/** The times of registrations. */
export interface ModuleTiming {
  readonly mediator: Pulse;
  readonly bundle: Pulse;
  /** A registration that says no time of expiry is over so long after its last heartbeat. */
  readonly lifeMs: number;
}

/** What MRS says for plugin bundles. */
export const BUNDLE_PULSE: Pulse = { heartbeatMs: 30 * 60_000, graceMs: 5 * 60_000 };
/** The same for registrations without a time of expiry. */
export const LIFE_MS = 60 * 60_000;

/** Where a module is in its life, and why in words. */
export interface Lifecycle {
  readonly state: ModuleState;
  readonly reason: string;
}

/** How often such a module has to say that it lives; undefined for one that said until when it is registered. */
export function pulseOf(
  record: Pick<ModuleRecord, 'registration' | 'renews'>,
  timing: ModuleTiming,
): Pulse | undefined {
  if (record.registration.moduleIdentity?.moduleType === ModuleType.MEDIATOR) return timing.mediator;
  return record.renews ? timing.bundle : undefined;
}

/**
 * The state of a registration at a time. `isServing`: a mediator that has runs, a version that serves by default. `missing`: what it
 * depends on and is not there.
 */
export function lifecycleOf(
  record: ModuleRecord,
  nowMs: number,
  timing: ModuleTiming,
  facts: { readonly isServing: boolean; readonly missing: readonly string[] },
): Lifecycle {
  const { beat } = record;
  const unavailable = (reason: string): Lifecycle => ({ state: ModuleState.UNAVAILABLE, reason });
  const degraded = (reason: string): Lifecycle => ({ state: ModuleState.DEGRADED, reason });
  if (record.endedMs > 0) return unavailable(record.endReason || 'deregistered');
  if (nowMs >= record.expiresMs) return unavailable('expired');
  const pulse = pulseOf(record, timing);
  const silentMs = nowMs - record.heartbeatMs;
  if (pulse !== undefined && silentMs > pulse.heartbeatMs + pulse.graceMs)
    return unavailable(`silent for ${durationText(Math.floor(silentMs / 1000) * 1000)}`);
  if (beat.draining) return unavailable('draining');
  const why = beat.healthReason === '' ? '' : `: ${beat.healthReason}`;
  if (beat.health === ModuleHealth.CRITICAL) return unavailable(`says that it is in a critical state${why}`);
  if (beat.health === ModuleHealth.DEGRADED) return degraded(`says that it is degraded${why}`);
  if (facts.missing.length > 0) return degraded(`depends on ${facts.missing.join(', ')}`);
  return facts.isServing
    ? { state: ModuleState.ACTIVE, reason: '' }
    : { state: ModuleState.AVAILABLE, reason: '' };
}
