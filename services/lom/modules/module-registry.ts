import { ModuleRegistration, ModuleType } from '../../shared/gen/rune/v1/mrs.js';
import type {
  DeregisterModuleRequest,
  HeartbeatModuleRequest,
  HeartbeatModuleResponse,
  RegisteredModule,
  RegisterModuleRequest,
  RegisterModuleResponse,
  UpdateModuleRequest,
  UpdateModuleResponse,
} from '../../shared/gen/rune/v1/registry.js';
import { deregisterModule } from './deregister-module.js';
import { heartbeatModule } from './heartbeat-module.js';
import { openLiveModules, type LiveModules } from './live-modules.js';
import { requireTrust } from './module-rights.js';
import { readCandidate } from './read-candidate.js';
import { registerModule } from './register-module.js';
import type { ModuleRegistryDeps } from './registry-deps.js';
import { updateModule } from './update-module.js';

type Answer<T> = Omit<T, 'header'>;

/** What is registered, as it is at every moment. `caller` is who calls, as the connection proves. */
export interface ModuleRegistry extends Pick<
  LiveModules,
  'list' | 'mediators' | 'nowMs' | 'onChange' | 'refresh' | 'stop'
> {
  register(request: RegisterModuleRequest, caller: string): Promise<Answer<RegisterModuleResponse>>;
  update(request: UpdateModuleRequest, caller: string): Promise<Answer<UpdateModuleResponse>>;
  heartbeat(request: HeartbeatModuleRequest, caller: string): Promise<Answer<HeartbeatModuleResponse>>;
  deregister(request: DeregisterModuleRequest, caller: string): Promise<RegisteredModule>;
}

/** Opens the registry with what is recorded. Throws STORE_UNAVAILABLE. */
export async function openModuleRegistry(deps: ModuleRegistryDeps): Promise<ModuleRegistry> {
  const modules = await openLiveModules(deps);
  return {
    list: modules.list,
    mediators: modules.mediators,
    nowMs: modules.nowMs,
    onChange: modules.onChange,
    refresh: modules.refresh,
    stop: modules.stop,

    async register({ registration, content }, caller) {
      const sent = registration ?? ModuleRegistration.create();
      const type = sent.moduleIdentity?.moduleType ?? ModuleType.UNSPECIFIED;
      requireTrust(type, caller, deps.settings);
      const request = { registration: sent, content, caller };
      const candidate = await readCandidate(request, deps, modules.nowMs());
      return modules.inTurn(() => registerModule(modules, deps, candidate));
    },

    update: (request, caller) => updateModule(modules, deps, request, caller),
    heartbeat: (request, caller) => heartbeatModule(modules, deps, request, caller),
    deregister: (request, caller) => deregisterModule(modules, deps, request, caller),
  };
}
