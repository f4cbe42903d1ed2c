import { join } from 'node:path';
import { createBashSyntax } from '../shared/bundle/bash-syntax.js';
import type { Bundle } from '../shared/bundle/bundle.js';
import { RuneError } from '../shared/errors.js';
import { createFileFaults } from '../shared/files/file-faults.js';
import { LomServiceService } from '../shared/gen/rune/v1/lom.js';
import { RegistryServiceService } from '../shared/gen/rune/v1/registry.js';
import { packageRoot } from '../shared/process/package-root.js';
import { createRpcClient } from '../shared/rpc/rpc-client.js';
import { startMetrics } from '../shared/metrics/start-metrics.js';
import { bindService } from '../shared/rpc/rpc-binding.js';
import { startRpcServer } from '../shared/rpc/rpc-server.js';
import type { RunningService, ServiceTools } from '../shared/process/run-service.js';
import { createSchemaCompiler } from '../shared/schema/schema.js';
import { clientTlsOf, serverTlsOf } from '../shared/settings/service-settings.js';
import type { SettingsOf } from '../shared/settings/settings.js';
import { LOM_SETTINGS, readEndpoints } from './config.js';
import { createCatalogue } from './actions/catalogue.js';
import { checkInventoryConfigurations } from './plan/configuration.js';
import { createDispatcher } from './dispatch/dispatch.js';
import { MEDIATOR_SERVICE } from './dispatch/mediated-message.js';
import { lomHandlers } from './handlers.js';
import { configuredMediators, createMediators } from './mediators/mediators.js';
import type { Inventory } from './inventory/inventory.js';
import { followInventory, type FollowedInventory } from './inventory-sources/follow-inventory.js';
import { createOrchestrator } from './orchestrate.js';
import type { Registry } from './actions/registry.js';
import { LOM_METRICS } from './metrics.js';
import { readLomMetrics } from './read-metrics.js';
import { openStore } from './store/open-store.js';
import { bundlesName, readBundles } from './actions/load-bundles.js';
import { watchBundles } from './actions/watch-bundles.js';
import { BUNDLE_PULSE, LIFE_MS, type ModuleTiming } from './modules/lifecycle.js';
import { openModuleRegistry, type ModuleRegistry } from './modules/module-registry.js';
import { registryHandlers } from './modules/registry-handlers.js';

/** The settings of an orchestrator, read. */
export type LomSettings = SettingsOf<typeof LOM_SETTINGS>;

/** Pauses of the ways to the store and the mediators; what an operator may want to change is a setting. */
const PACES = {
  attachRetryMs: 100,
  attachRetryMsMax: 5_000,
  sendsMax: 3,
  mediatorRetryMs: 1_000,
  cancelTriesMax: 10,
  cancelRetryMs: 500,
  cancelPollMs: 1_000,
  lockPollMs: 1_000,
  watchPollMs: 2_000,
  retentionEveryMs: 60_000,
  commitBytesMax: 1024 * 1024,
} as const;
const ACK_DELAY_MS = 50;
/** A mediator that has been replaced is noticed by then: a run that is recorded at a process which is no more can only be given up as lost. */
const MEDIATOR_KNOWN_FOR_MS = 3_000;

/** How long a node goes on without a word from its mediator before it ends the plugin, and what that may take. */
const NODE_LEASE_MS = 15_000;
const LOST_MARGIN_MS = 30_000;

/** The times of registrations. Throws CONFIGURATION_INVALID where a mediator that is well would seem silent to another replica. */
function moduleTiming(settings: LomSettings): ModuleTiming {
  const { mediatorHeartbeatMs: heartbeatMs, mediatorGraceMs: graceMs, modulesRecordIntervalMs } = settings;
  if (graceMs < 2 * modulesRecordIntervalMs) {
    const message =
      'mediator_grace must be at least twice modules.record_interval: so old may be what another orchestrator was told.';
    throw new RuneError('CONFIGURATION_INVALID', message, { field: 'mediator_grace' });
  }
  return { mediator: { heartbeatMs, graceMs }, bundle: BUNDLE_PULSE, lifeMs: LIFE_MS };
}

/** Throws CONFIGURATION_INVALID if the inventory configures actions as they cannot be. */
function requireConfigurations(inventory: Inventory, registry: Registry): void {
  const faults = createFileFaults();
  checkInventoryConfigurations(inventory, registry, faults);
  faults.throwIfAny('The inventory');
}

/** Loads the actions and the nodes. Throws one CONFIGURATION_INVALID with the faults of both. */
async function loadSources(
  plugins: readonly string[],
  settings: LomSettings,
  { logger, env }: Pick<ServiceTools<LomSettings>, 'logger' | 'env'>,
): Promise<{ bundles: readonly Bundle[]; followed: FollowedInventory }> {
  const schemas = createSchemaCompiler();
  const [loaded, inventory] = await Promise.allSettled([
    readBundles(plugins, schemas, logger.warn),
    followInventory({
      files: settings.inventory,
      sources: settings.inventorySources,
      filesRefreshMs: settings.inventoryRefreshMs,
      copies: settings.inventoryCopies,
      env,
      schemas,
      logger,
    }),
  ]);
  if (loaded.status === 'fulfilled' && inventory.status === 'fulfilled') {
    requireConfigurations(inventory.value.inventory, loaded.value.registry);
    return { bundles: loaded.value.bundles, followed: inventory.value };
  }
  const errors = [loaded, inventory].flatMap((part) =>
    part.status === 'rejected' ? [RuneError.from(part.reason)] : [],
  );
  const [first, second] = errors.toSorted((a) => (a.name === 'INTERNAL' ? -1 : 0));
  if (first === undefined || second === undefined || first.name === 'INTERNAL') throw first;
  throw new RuneError('CONFIGURATION_INVALID', `${first.message} ${second.message}`, {
    validationErrors: errors.flatMap(({ facts }) => facts.validationErrors ?? []),
  });
}

/** Composes an orchestrator from its settings and starts to serve; `open` opens its store. */
export async function startLom(
  settings: LomSettings,
  tools: Pick<ServiceTools<LomSettings>, 'logger' | 'env' | 'onHangup'>,
  open: typeof openStore = openStore,
): Promise<RunningService> {
  const { logger } = tools;
  const metrics = await startMetrics(LOM_METRICS, settings, logger);
  const { meter } = metrics;
  const plugins = settings.plugins.length > 0 ? settings.plugins : [join(packageRoot, 'plugins')];
  const { bundles, followed } = await loadSources(plugins, settings, tools);
  const { inventory } = followed;
  const catalogue = createCatalogue(bundles, bundlesName(plugins));
  const lostAfterMs = settings.orphanAfterMs + NODE_LEASE_MS + settings.killGraceMs + LOST_MARGIN_MS;
  const tls = clientTlsOf(
    settings.mediatorTlsCaFile,
    settings.mediatorTlsCertFile,
    settings.mediatorTlsKeyFile,
    settings.mediatorTlsServerName,
  );
  const dispatcher = createDispatcher(
    (address) => createRpcClient(MEDIATOR_SERVICE, { address, ...(tls === undefined ? {} : { tls }) }),
    {
      mediatorConnectTimeoutMs: settings.mediatorConnectTimeoutMs,
      orphanAfterMs: settings.orphanAfterMs,
      streamMarginMs: LOST_MARGIN_MS,
      ackDelayMs: ACK_DELAY_MS,
      knownForMs: MEDIATOR_KNOWN_FOR_MS,
    },
    logger,
  );
  const timing = moduleTiming(settings);
  const configured = readEndpoints(settings.mediators);
  const store = await open(settings.store, settings, logger);
  const opened: { modules: ModuleRegistry | undefined } = { modules: undefined };
  const mediators = createMediators(() => opened.modules?.mediators() ?? configuredMediators(configured), {
    fullWaitMsMax: settings.mediatorFullWaitMsMax,
    nowMs: () => opened.modules?.nowMs() ?? Date.now(),
    meter,
  });
  const schemas = createSchemaCompiler();
  const modules = await openModuleRegistry({
    store: store.modules,
    catalogue,
    schemas,
    syntax: createBashSyntax(),
    configured,
    configuredByDefault: settings.mediators.join() === LOM_SETTINGS.mediators.defaultValue.join(),
    settings: {
      timing,
      recordIntervalMs: settings.modulesRecordIntervalMs,
      registeredMax: settings.modulesRegisteredMax,
      mediatorIdentities: settings.mediatorIdentities,
      registrarIdentities: settings.registrarIdentities,
      leftMs: settings.mediatorWaitMs,
    },
    onRoom: mediators.room,
    onMediators() {
      mediators.updated();
      dispatcher.prune(mediators.isInUse);
    },
    logger,
  });
  opened.modules = modules;
  const bundleWatch = await watchBundles({
    directories: plugins,
    recheckMs: settings.pluginsRecheckMs,
    async load() {
      const next = (await readBundles(plugins, schemas, logger.warn)).bundles;
      requireConfigurations(inventory, catalogue.withDirectories(next, bundlesName(plugins)));
      catalogue.setDirectories(next);
    },
    logger,
  });
  const sources = {
    get registry() {
      return catalogue.registry;
    },
    recall: catalogue.recall,
    inventory,
    mediators,
    settings,
  };
  const orchestrator = await createOrchestrator({
    sources,
    dispatcher,
    store,
    settings: { ...settings, ...PACES, lostAfterMs, storeCloseTimeoutMs: settings.storeStatementTimeoutMs },
    logger,
    meter,
  });
  const serverTls = serverTlsOf(settings);
  const server = await startRpcServer({
    listen: settings.listen,
    ...(serverTls === undefined ? {} : { tls: serverTls }),
    allowPlaintext: settings.allowPlaintext,
    ...(settings.probeListen === undefined ? {} : { probeListen: settings.probeListen }),
    bindings: [
      bindService(
        LomServiceService,
        lomHandlers(orchestrator, dispatcher, sources, store, followed.statuses),
      ),
      bindService(RegistryServiceService, registryHandlers(modules)),
    ],
    logger,
    source: 'lom',
    onCallEnd: (method, code, seconds) => meter.observe('rune_lom_rpc_seconds', { method, code }, seconds),
  });
  const { runsMax } = settings;
  metrics.serve(
    readLomMetrics({ orchestrator, mediators, modules, catalogue, followed, server, settings: { runsMax } }),
  );
  followed.follow((next, faults) => checkInventoryConfigurations(next, catalogue.registry, faults));
  tools.onHangup(() => void Promise.all([bundleWatch.reload(), followed.reload()]));
  logger.info('orchestrator ready', {
    actions: catalogue.registry.list().length,
    nodes: inventory.nodes.length,
  });
  return {
    address: server.address,
    async stop(graceMs) {
      followed.close();
      await bundleWatch.stop();
      // The server refuses new calls at once; its streams end by themselves as the executions do.
      await Promise.all([
        orchestrator.drain(graceMs),
        server.stop(graceMs + settings.killGraceMs + LOST_MARGIN_MS),
      ]);
      dispatcher.close();
      await modules.stop();
      await store.close();
      // To the end: the stop is to be seen.
      await metrics.close();
    },
  };
}
