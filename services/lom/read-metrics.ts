import { moduleTypeToJSON } from '../shared/gen/rune/v1/mrs.js';
import { moduleStateToJSON, type RegisteredModule } from '../shared/gen/rune/v1/registry.js';
import type { ReadersOf } from '../shared/metrics/metric.js';
import { onceATurn } from '../shared/metrics/once-a-turn.js';
import type { RpcServer } from '../shared/rpc/rpc-server.js';
import type { Catalogue } from './actions/catalogue.js';
import type { Mediators } from './mediators/mediators.js';
import type { FollowedInventory } from './inventory-sources/follow-inventory.js';
import type { LOM_METRICS } from './metrics.js';
import type { ModuleRegistry } from './modules/module-registry.js';
import type { Orchestrator } from './orchestrate.js';

/** What has counted since the start. */
export interface LomCounters {
  readonly orchestrator: Pick<Orchestrator, 'load'>;
  readonly mediators: Pick<Mediators, 'waiting'>;
  readonly modules: Pick<ModuleRegistry, 'list' | 'mediators'>;
  readonly catalogue: Pick<Catalogue, 'registry'>;
  readonly followed: Pick<FollowedInventory, 'inventory' | 'statuses'>;
  readonly server: Pick<RpcServer, 'openCalls'>;
  readonly settings: { readonly runsMax: number };
}

/** How many there are of each; `keyOf` names the labels. */
function countBy<Item, Label extends string>(
  items: Iterable<Item>,
  labelsOf: (item: Item) => Readonly<Record<Label, string>>,
): Iterable<readonly [Readonly<Record<Label, string>>, number]> {
  const counts = new Map<string, [Readonly<Record<Label, string>>, number]>();
  for (const item of items) {
    const labels = labelsOf(item);
    const key = JSON.stringify(labels);
    const known = counts.get(key);
    if (known === undefined) counts.set(key, [labels, 1]);
    else known[1] += 1;
  }
  return counts.values();
}

function labelsOfModule({ registration, state }: RegisteredModule): { type: string; state: string } {
  const type = registration?.moduleIdentity?.moduleType;
  return {
    type: type === undefined ? '' : moduleTypeToJSON(type).replace(/^MODULE_TYPE_/, ''),
    state: moduleStateToJSON(state).replace(/^MODULE_STATE_/, ''),
  };
}

/** Reads the metrics that others count anyway. */
export function readLomMetrics(from: LomCounters): ReadersOf<typeof LOM_METRICS> {
  const { orchestrator, mediators, modules, catalogue, followed, server, settings } = from;
  const load = onceATurn(orchestrator.load);
  const bySource = (valueOf: (status: ReturnType<typeof followed.statuses>[number]) => number) => () =>
    followed.statuses().map((status) => [{ source: status.name }, valueOf(status)] as const);
  return {
    rune_lom_executions_active: () => load().executions,
    rune_lom_runs_active: () => load().runsActive,
    rune_lom_runs_queued: () => load().runsQueued,
    rune_lom_runs_max: () => settings.runsMax,
    rune_lom_runs_waiting_for_lock: () => load().waitingForLock,
    rune_lom_runs_waiting_for_mediator: () => mediators.waiting,
    rune_lom_mediators() {
      const all = modules.mediators();
      const usable = all.filter(({ trouble }) => trouble === undefined).length;
      return [
        [{ usable: 'true' }, usable],
        [{ usable: 'false' }, all.length - usable],
      ];
    },
    rune_lom_modules: () => countBy(modules.list(false), labelsOfModule),
    rune_lom_actions: () => catalogue.registry.list().length,
    rune_lom_inventory_nodes: () => followed.inventory.nodes.length,
    rune_lom_inventory_source_age_seconds: bySource(({ readAtMs }) =>
      Math.max(0, (Date.now() - readAtMs) / 1000),
    ),
    rune_lom_inventory_source_failing: bySource(({ problem }) => (problem === '' ? 0 : 1)),
    rune_lom_store_waiting_bytes: () => load().waitingBytes,
    rune_lom_watchers: () => load().watchers,
    rune_lom_rpc_calls_open: () => server.openCalls,
  };
}
