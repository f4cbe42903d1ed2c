import { ModuleType } from '../../shared/gen/rune/v1/mrs.js';
import { RegisteredModule, type RegistryServiceService } from '../../shared/gen/rune/v1/registry.js';
import { replyHeader } from '../../shared/messages/header.js';
import { pageOf } from '../../shared/messages/page.js';
import type { Handlers } from '../../shared/rpc/rpc-binding.js';
import type { ModuleRegistry } from './module-registry.js';
import { inShort, listKey } from './show-module.js';
import { watchModules } from './watch-modules.js';

/** Whether a module is one that a request asks for. */
const chosenBy =
  ({ moduleName, moduleType }: { readonly moduleName: string; readonly moduleType: ModuleType }) =>
  ({ registration }: RegisteredModule): boolean => {
    const identity = registration?.moduleIdentity;
    if (moduleName !== '' && identity?.moduleName !== moduleName) return false;
    return moduleType === ModuleType.UNSPECIFIED || identity?.moduleType === moduleType;
  };

const bytesOf = (module: RegisteredModule): number => RegisteredModule.encode(module).finish().length;

/** RegistryService, served by this orchestrator. */
export function registryHandlers(registry: ModuleRegistry): Handlers<RegistryServiceService> {
  return {
    async registerModule(request, call) {
      const answer = await registry.register(request, call.identity.name);
      return { header: replyHeader(call.header, 'MODULE_REGISTERED', 'lom', true), ...answer };
    },

    async updateModule(request, call) {
      const answer = await registry.update(request, call.identity.name);
      return { header: replyHeader(call.header, 'MODULE_UPDATED', 'lom', true), ...answer };
    },

    async heartbeatModule(request, call) {
      const answer = await registry.heartbeat(request, call.identity.name);
      return { header: replyHeader(call.header, 'MODULE_HEARTBEAT_TAKEN', 'lom', true), ...answer };
    },

    async deregisterModule(request, call) {
      const module = await registry.deregister(request, call.identity.name);
      return { header: replyHeader(call.header, 'MODULE_DEREGISTERED', 'lom', true), module };
    },

    async listModules(request, call) {
      const chosen = registry.list(request.ended).filter(chosenBy(request));
      const modules = request.moduleName === '' ? chosen.map(inShort) : chosen;
      const page = pageOf(modules, listKey, request, bytesOf);
      return {
        header: replyHeader(call.header, 'MODULES_LISTED', 'lom', true),
        modules: page.items,
        nextPageToken: page.nextPageToken,
      };
    },

    async *watchModules(request, call) {
      let isFirst = true;
      for await (const event of watchModules(registry, chosenBy(request), call.signal)) {
        const shown = event.$case === 'module' ? { ...event, value: inShort(event.value) } : event;
        yield { header: replyHeader(call.header, 'MODULE_SHOWN', 'lom', isFirst), event: shown };
        isFirst = false;
      }
    },
  };
}
