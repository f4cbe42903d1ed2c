import { join } from 'node:path';
import { RuneError } from '../shared/errors.js';
import { createFileFaults } from '../shared/file-faults.js';
import { LmmServiceService } from '../shared/gen/rune/v1/lmm.js';
import { LomServiceService } from '../shared/gen/rune/v1/lom.js';
import { packageRoot } from '../shared/package-root.js';
import { createRpcClient } from '../shared/rpc-client.js';
import { bindService } from '../shared/rpc-binding.js';
import { startRpcServer } from '../shared/rpc-server.js';
import type { RunningService, ServiceTools } from '../shared/run-service.js';
import { createSchemaCompiler } from '../shared/schema.js';
import { serverTlsOf } from '../shared/service-settings.js';
import type { SettingsOf } from '../shared/settings.js';
import { readEndpoints, type LOM_SETTINGS } from './config.js';
import { checkInventoryConfigurations } from './configuration.js';
import { createDispatcher } from './dispatch.js';
import { lomHandlers } from './handlers.js';
import { configuredMediators, createMediators } from './mediators.js';
import { followInventory, type FollowedInventory } from './inventory-sources/follow-inventory.js';
import { createOrchestrator } from './orchestrate.js';
import type { Registry } from './registry.js';
import { openStore } from './store/open-store.js';
import { loadBundles } from './load-bundles.js';

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

/** How long a node goes on without a word from its mediator before it ends the plugin, and what that may take. */
const NODE_LEASE_MS = 15_000;
const LOST_MARGIN_MS = 30_000;

function mediatorTls(
  settings: LomSettings,
): { caFile: string; certFile?: string; keyFile?: string } | undefined {
  const { mediatorTlsCaFile: caFile, mediatorTlsCertFile: certFile, mediatorTlsKeyFile: keyFile } = settings;
  if (caFile === undefined) return undefined;
  return {
    caFile,
    ...(certFile === undefined ? {} : { certFile }),
    ...(keyFile === undefined ? {} : { keyFile }),
  };
}

/** Loads the actions and the nodes. Throws one CONFIGURATION_INVALID with the faults of both. */
async function loadSources(
  plugins: readonly string[],
  settings: LomSettings,
  { logger, env }: Pick<ServiceTools<LomSettings>, 'logger' | 'env'>,
): Promise<{ registry: Registry; followed: FollowedInventory }> {
  const schemas = createSchemaCompiler();
  const [registry, inventory] = await Promise.allSettled([
    loadBundles(plugins, schemas, logger.warn),
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
  if (registry.status === 'fulfilled' && inventory.status === 'fulfilled') {
    const faults = createFileFaults();
    checkInventoryConfigurations(inventory.value.inventory, registry.value, faults);
    faults.throwIfAny('The inventory');
    return { registry: registry.value, followed: inventory.value };
  }
  const errors = [registry, inventory].flatMap((part) =>
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
  const plugins = settings.plugins.length > 0 ? settings.plugins : [join(packageRoot, 'plugins')];
  const { registry, followed } = await loadSources(plugins, settings, tools);
  const { inventory } = followed;
  const lostAfterMs = settings.orphanAfterMs + NODE_LEASE_MS + settings.killGraceMs + LOST_MARGIN_MS;
  const tls = mediatorTls(settings);
  const dispatcher = createDispatcher(
    (address) => createRpcClient(LmmServiceService, { address, ...(tls === undefined ? {} : { tls }) }),
    {
      mediatorConnectTimeoutMs: settings.mediatorConnectTimeoutMs,
      orphanAfterMs: settings.orphanAfterMs,
      streamMarginMs: LOST_MARGIN_MS,
      ackDelayMs: ACK_DELAY_MS,
    },
    logger,
  );
  const configured = configuredMediators(readEndpoints(settings.mediators));
  const mediators = createMediators(() => configured);
  const sources = { registry, inventory, mediators, settings };
  const store = await open(settings.store, settings, logger);
  const orchestrator = await createOrchestrator({
    sources,
    dispatcher,
    store,
    settings: { ...settings, ...PACES, lostAfterMs, storeCloseTimeoutMs: settings.storeStatementTimeoutMs },
    logger,
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
    ],
    logger,
    source: 'lom',
  });
  followed.follow((next, faults) => checkInventoryConfigurations(next, registry, faults));
  tools.onHangup(() => void followed.reload());
  logger.info('orchestrator ready', { actions: registry.list().length, nodes: inventory.nodes.length });
  return {
    address: server.address,
    async stop(graceMs) {
      followed.close();
      // The server refuses new calls at once; its streams end by themselves as the executions do.
      await Promise.all([
        orchestrator.drain(graceMs),
        server.stop(graceMs + settings.killGraceMs + LOST_MARGIN_MS),
      ]);
      dispatcher.close();
      await store.close();
    },
  };
}
