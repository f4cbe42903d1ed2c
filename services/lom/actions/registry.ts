import { RuneError } from '../../shared/errors.js';
import { quoted } from '../../shared/fault.js';
import { didYouMean } from '../../shared/suggest.js';
import type { Action } from '../../shared/bundle/action.js';
import type { Bundle } from '../../shared/bundle/bundle.js';
import type { FileFaults } from '../../shared/files/file-faults.js';
import { compareSemver } from '../../shared/bundle/semver.js';

/** The actions that can be run. */
export interface Registry {
  /** The action of a reference `name` (its newest version) or `name@version`. Throws ACTION_NOT_FOUND. */
  get(reference: string): Action;
  /** Every version of the action of that name, the newest first; empty if there is none. */
  versions(name: string): readonly Action[];
  /** The newest version of each action, sorted by name. */
  list(): readonly Action[];
}

const ORIGINAL_VALUE_CHARS_MAX = 200;

/**
 * Makes the registry of all bundles. Two bundles that provide the same version of an action, or one action under two module
 * names, go to `faults` with both places named; the first one is kept.
 */
export function createRegistry(bundles: readonly Bundle[], faults: FileFaults): Registry {
  const versions = new Map<string, Action[]>();
  checkModules(bundles, faults);
  const moduleVersions = new Map<Action, string>();
  for (const { head, actions } of bundles) {
    for (const action of actions) {
      const { action: name, version, moduleName } = action.capability;
      const known = versions.get(name) ?? [];
      const same = known.find((other) => compareSemver(other.capability.version, version) === 0);
      const foreign = known.find((other) => other.capability.moduleName !== moduleName);
      const isUnchanged =
        same?.capability.digest === action.capability.digest &&
        same.capability.moduleName === moduleName &&
        moduleVersions.get(same) !== head.moduleVersion;
      // A new version of a module may keep some of its actions as they are.
      if (isUnchanged) continue;
      moduleVersions.set(action, head.moduleVersion);
      // Whatever its version: two modules never share an action.
      if (foreign !== undefined) {
        const owner = `${foreign.file} (module ${foreign.capability.moduleName})`;
        faults.addFile(action.file, 'ALREADY_PROVIDED', `the action ${name} is already provided by ${owner}`);
      } else if (same !== undefined) {
        faults.addFile(
          action.file,
          'VERSION_CONFLICT',
          `the action ${name}@${version} is provided by ${same.file} too`,
        );
      } else versions.set(name, [...known, action]);
    }
  }
  for (const known of versions.values()) {
    known.sort((a, b) => compareSemver(b.capability.version, a.capability.version));
  }
  const newest = [...versions.keys()].toSorted().flatMap((name) => versions.get(name)?.slice(0, 1) ?? []);

  return {
    get(reference) {
      const { name, version } = parseReference(reference);
      const known = versions.get(name);
      const action =
        version === undefined ? known?.[0] : known?.find((other) => other.capability.version === version);
      if (action !== undefined) return action;
      throw new RuneError('ACTION_NOT_FOUND', notFoundMessage(reference, name, known, versions.keys()), {
        field: 'action',
        originalValue: reference.slice(0, ORIGINAL_VALUE_CHARS_MAX),
        expectedFormat: 'name or name@version',
      });
    },
    versions: (name) => versions.get(name) ?? [],
    list: () => newest,
  };
}

function parseReference(reference: string): { name: string; version?: string } {
  const at = reference.indexOf('@');
  return at < 0 ? { name: reference } : { name: reference.slice(0, at), version: reference.slice(at + 1) };
}

function checkModules(bundles: readonly Bundle[], faults: FileFaults): void {
  const files = new Map<string, string>();
  for (const { head, file } of bundles) {
    const module = `${head.moduleName}@${head.moduleVersion}`;
    const other = files.get(module);
    if (other === undefined) files.set(module, file);
    else faults.addFile(file, 'DUPLICATE', `the module ${module} is declared by ${other} too`);
  }
}

function notFoundMessage(
  reference: string,
  name: string,
  known: readonly Action[] | undefined,
  names: Iterable<string>,
): string {
  if (known === undefined) return `There is no action ${quoted(reference)}${didYouMean(name, names) || '.'}`;
  const versions = known.map(({ capability }) => capability.version).join(', ');
  return `There is no action ${quoted(reference)}; the versions of ${name} are ${versions}.`;
}
