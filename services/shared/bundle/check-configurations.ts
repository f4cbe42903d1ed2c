import { quoted } from '../fault.js';
import type { FileFaults } from '../files/file-faults.js';
import { didYouMean } from '../suggest.js';
import type { YamlSource } from '../files/yaml-source.js';
import type { Action } from './action.js';
import type { BundleHead } from './bundle-head.js';

/** Checks what a bundle.yaml gives its actions as their configuration, and that no action needs more than it is given. */
export function checkConfigurations(
  source: YamlSource,
  head: BundleHead,
  actions: readonly Action[],
  faults: FileFaults,
): void {
  const byName = new Map(actions.map((action) => [action.capability.action, action]));
  for (const name of Object.keys(head.configuration)) {
    const action = byName.get(name);
    if (action === undefined) {
      const near = didYouMean(name, byName.keys());
      faults.add(
        source,
        ['configuration', name],
        'UNKNOWN',
        `names ${quoted(name)}, no action of this bundle${near}`,
      );
    } else if (action.configuration === undefined) {
      faults.add(
        source,
        ['configuration', name],
        'UNKNOWN',
        'is for an action without a configuration_schema',
      );
    }
  }
  for (const [name, { configuration, file }] of byName) {
    for (const { path, reason, description } of configuration?.check.faults(
      structuredClone(configuration.values),
    ) ?? []) {
      if (Object.hasOwn(head.configuration, name)) {
        faults.add(source, ['configuration', name, ...path], reason, description);
      } else {
        const what = `its configuration ${path.join('.')} ${description}: give a default, or a value in bundle.yaml`;
        faults.addFile(file, reason, what);
      }
    }
  }
}
