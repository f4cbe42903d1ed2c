import { RuneError } from '../../shared/errors.js';
import type { ModuleRegistration } from '../../shared/gen/rune/v1/mrs.js';
import type { LiveModules } from './live-modules.js';
import type { ModuleRecord } from '../store/module-record.js';
import type { ModuleRegistryDeps } from './registry-deps.js';

/** A registration with its times as they are recorded when it is taken now; `lifeMs` for one that says no time of expiry. */
export function timedRegistration(
  registration: ModuleRegistration,
  nowMs: number,
  lifeMs: number,
): Pick<ModuleRecord, 'registration' | 'expiresMs' | 'renews'> {
  const expiresAt = registration.registrationMetadata?.expiresAt;
  const identity = registration.moduleIdentity;
  return {
    registration: {
      ...registration,
      moduleIdentity: identity && { ...identity, registrationTimestamp: new Date(nowMs) },
    },
    expiresMs: expiresAt?.getTime() ?? nowMs + lifeMs,
    renews: expiresAt === undefined,
  };
}

/** Lets a registration go on with what it says now; that counts as a heartbeat. Throws MODULE_NOT_REGISTERED if it has ended meanwhile. */
export async function changeRegistration(
  modules: LiveModules,
  { store, settings }: ModuleRegistryDeps,
  record: ModuleRecord,
  registration: ModuleRegistration,
): Promise<ModuleRecord> {
  const nowMs = modules.nowMs();
  const fields = timedRegistration(registration, nowMs, settings.timing.lifeMs);
  if (!(await store.change({ ...record, ...fields })))
    throw new RuneError('MODULE_NOT_REGISTERED', 'The registration has ended meanwhile.');
  // What it said of itself meanwhile stays.
  const latest = modules.find(record.registrationId) ?? record;
  const next = { ...latest, ...fields, heartbeatMs: Math.max(nowMs, latest.heartbeatMs) };
  modules.beat(next);
  await modules.recordBeats();
  modules.changed();
  return next;
}
