import type { Catalogue } from '../../services/lom/actions/catalogue.js';
import { LIFE_MS } from '../../services/lom/modules/lifecycle.js';
import { openModuleRegistry, type ModuleRegistry } from '../../services/lom/modules/module-registry.js';
import type { ModuleRegistryDeps, ModuleRegistrySettings } from '../../services/lom/modules/registry-deps.js';
import type { ModuleStore } from '../../services/lom/store/module-store.js';
import { createBashSyntax } from '../../services/shared/bundle/bash-syntax.js';
import { createSchemaCompiler } from '../../services/shared/schema/schema.js';
import { recordingLogger } from './recording-logger.js';

/** Settings of a registry in which nothing takes long. */
export const QUICK_REGISTRY: ModuleRegistrySettings = {
  timing: {
    mediator: { heartbeatMs: 100, graceMs: 200 },
    bundle: { heartbeatMs: 1000, graceMs: 1000 },
    lifeMs: LIFE_MS,
  },
  recordIntervalMs: 50,
  registeredMax: 8,
  mediatorIdentities: ['CN=lmm'],
  registrarIdentities: ['CN=ci'],
  leftMs: 60_000,
};

/** Opens a registry over this store, without mediators of a configuration unless they are given. */
export function openTestRegistry(
  store: ModuleStore,
  catalogue: Catalogue,
  deps: Partial<ModuleRegistryDeps> = {},
): Promise<ModuleRegistry> {
  return openModuleRegistry({
    store,
    catalogue,
    schemas: createSchemaCompiler(),
    syntax: createBashSyntax(),
    configured: [],
    configuredByDefault: false,
    settings: QUICK_REGISTRY,
    onRoom: () => undefined,
    onMediators: () => undefined,
    logger: recordingLogger().logger,
    ...deps,
  });
}
