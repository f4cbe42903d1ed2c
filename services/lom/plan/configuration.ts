import type { Action } from '../../shared/bundle/action.js';
import { RuneError } from '../../shared/errors.js';
import { quoted, toValidationError } from '../../shared/fault.js';
import type { FileFaults } from '../../shared/files/file-faults.js';
import type { Node } from '../../shared/gen/rune/v1/run.js';
import { didYouMean } from '../../shared/suggest.js';
import type { Inventory } from '../inventory/inventory.js';
import type { Registry } from '../actions/registry.js';

/**
 * What an action is configured with on a node: the inventory's values over the bundle's over the defaults. Throws
 * CONFIGURATION_INVALID if what node and groups give does not go together.
 */
export function configurationFor(
  action: Action,
  node: Node,
  inventory: Inventory,
): Readonly<Record<string, unknown>> {
  const { capability, configuration } = action;
  if (configuration === undefined) return {};
  const values = structuredClone({
    ...configuration.values,
    ...inventory.configurationOf(node.name, capability.action),
  });
  const validationErrors = configuration.check
    .faults(values)
    .map((fault) => toValidationError('configuration', fault));
  const [first] = validationErrors;
  if (first === undefined) return values;
  const message = `The configuration of ${capability.action} on ${node.name} is faulty: ${first.field} ${first.description}.`;
  throw new RuneError('CONFIGURATION_INVALID', message, {
    node: node.name,
    action: capability.action,
    validationErrors,
  });
}

/** Checks each configuration that an inventory gives by itself, against every version of its action. */
export function checkInventoryConfigurations(
  inventory: Inventory,
  registry: Registry,
  faults: FileFaults,
): void {
  for (const { source, path, action: name, values } of inventory.configurations) {
    const actions = registry.versions(name);
    if (actions.length === 0) {
      const near = didYouMean(
        name,
        registry.list().map(({ capability }) => capability.action),
      );
      faults.add(source, path, 'UNKNOWN', `names ${quoted(name)}, which is no action here${near}`);
    }
    for (const { configuration } of actions) {
      if (configuration === undefined) {
        faults.add(source, path, 'UNKNOWN', 'is for an action without a configuration_schema');
        continue;
      }
      const merged = structuredClone({ ...configuration.values, ...values });
      for (const fault of configuration.check.faults(merged)) {
        faults.add(source, [...path, ...fault.path], fault.reason, fault.description);
      }
    }
  }
}
