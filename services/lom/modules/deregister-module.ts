import type { DeregisterModuleRequest, RegisteredModule } from '../../shared/gen/rune/v1/registry.js';
import { checkReason } from '../../shared/messages/reason.js';
import { metadataOf } from './known-mediators.js';
import type { LiveModules } from './live-modules.js';
import { titleOf } from '../store/module-record.js';
import { requireOwn } from './module-rights.js';
import type { ModuleRegistryDeps } from './registry-deps.js';

/** Ends a registration for whoever registered it or may register bundles; one that has ended is shown as it is. */
export async function deregisterModule(
  modules: LiveModules,
  { store, settings, logger }: ModuleRegistryDeps,
  { registrationId, reason, graceful }: DeregisterModuleRequest,
  caller: string,
): Promise<RegisteredModule> {
  checkReason(reason);
  const found = await requireOwn(modules, registrationId, caller, settings.registrarIdentities);
  return modules.inTurn(async () => {
    // Another call may have ended it before this one had its turn.
    const record = modules.find(registrationId) ?? found;
    if (record.endedMs > 0) return modules.show(record);
    const isDone = graceful && metadataOf(record) !== undefined;
    const how = isDone ? 'left when it had finished' : 'deregistered';
    const endReason = reason === '' ? how : `${how}: ${reason}`;
    await store.end([registrationId], endReason);
    const ended = modules.end(record, endReason);
    modules.changed();
    logger.info('module deregistered', {
      module: titleOf(record),
      registration_id: registrationId,
      by: caller,
      reason,
    });
    return modules.show(ended);
  });
}
