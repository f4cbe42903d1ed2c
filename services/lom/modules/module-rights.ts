import { RuneError } from '../../shared/errors.js';
import { ModuleType } from '../../shared/gen/rune/v1/mrs.js';
import type { LiveModules } from './live-modules.js';
import type { ModuleRecord } from '../store/module-record.js';
import type { ModuleRegistrySettings } from './registry-deps.js';

/** Throws CALLER_NOT_ALLOWED unless the caller may register modules of this type. */
export function requireTrust(type: ModuleType, caller: string, settings: ModuleRegistrySettings): void {
  const isMediator = type === ModuleType.MEDIATOR;
  const trusted = isMediator ? settings.mediatorIdentities : settings.registrarIdentities;
  if (trusted.includes(caller)) return;
  const setting = isMediator ? 'modules.mediator_identities' : 'modules.registrar_identities';
  const what = isMediator ? 'mediators' : 'plugin bundles';
  throw new RuneError(
    'CALLER_NOT_ALLOWED',
    `"${caller}" may not register ${what}: ${setting} names who may.`,
  );
}

/** The error for a caller who asks for what belongs to another one. */
export function notOwn(): RuneError {
  return new RuneError('CALLER_NOT_ALLOWED', 'Somebody else has registered this module.');
}

/**
 * The registration of this id, for whoever registered it and for callers among `others`. Throws FIELD_MISSING,
 * MODULE_NOT_REGISTERED or CALLER_NOT_ALLOWED.
 */
export async function requireOwn(
  modules: LiveModules,
  registrationId: string,
  caller: string,
  others: readonly string[] = [],
): Promise<ModuleRecord> {
  if (registrationId === '')
    throw new RuneError('FIELD_MISSING', 'The request names no registration.', {
      field: 'registration_id',
    });
  // Another orchestrator may have registered it since the last look.
  if (modules.find(registrationId) === undefined) await modules.refresh();
  const record = modules.find(registrationId);
  if (record === undefined)
    throw new RuneError('MODULE_NOT_REGISTERED', 'There is no such registration.', {
      field: 'registration_id',
      originalValue: registrationId,
    });
  if (record.registeredBy !== caller && !others.includes(caller)) throw notOwn();
  return record;
}

/** The same for a registration that has not ended. */
export async function requireOwnLive(
  modules: LiveModules,
  registrationId: string,
  caller: string,
): Promise<ModuleRecord> {
  const record = await requireOwn(modules, registrationId, caller);
  if (modules.isLive(record)) return record;
  const why = record.endReason === '' ? '' : `: ${record.endReason}`;
  throw new RuneError('MODULE_NOT_REGISTERED', `The registration has ended${why}.`);
}
