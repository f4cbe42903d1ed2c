import type { Action } from '../../shared/bundle/action.js';
import type { Bundle } from '../../shared/bundle/bundle.js';
import { createFileFaults } from '../../shared/files/file-faults.js';
import { contentError } from './content-error.js';
import { createRegistry, type Registry } from './registry.js';

/** The actions of all bundles that serve now, and those that were replaced while executions may still need them. */
export interface Catalogue {
  readonly registry: Registry;
  /** Those of directories. */
  readonly directories: readonly Bundle[];
  /** What the registry would be with these directories. Throws CONFIGURATION_INVALID. */
  withDirectories(bundles: readonly Bundle[], what: string): Registry;
  setDirectories(bundles: readonly Bundle[]): void;
  /** Throws MODULE_VERSION_CONFLICT or ACTION_ALREADY_PROVIDED if the bundle cannot stand beside these and the directories. */
  checkBeside(bundle: Bundle, others: readonly Bundle[]): void;
  /** The registered bundles that serve, the oldest first; one that cannot stand beside the others is left out and returned. */
  setRegistered(bundles: readonly Bundle[]): readonly Bundle[];
  /** Keeps the actions of a bundle that serves no more, for what was accepted before. */
  retire(bundle: Bundle): void;
  /** Exactly this version of an action, also if it serves no more. */
  recall(name: string, version: string, digest: string): Action | undefined;
}

/** Replaced actions that are kept. */
const RETIRED_MAX = 256;

/** Starts with the bundles of directories. Throws CONFIGURATION_INVALID. */
export function createCatalogue(bundles: readonly Bundle[], what: string): Catalogue {
  let directories: readonly Bundle[] = [];
  let registered: readonly Bundle[] = [];
  const retired = new Map<string, Action>();
  const keyOf = ({ capability }: Action): string =>
    `${capability.action}@${capability.version} ${capability.digest}`;

  const built = (all: readonly Bundle[], why: string): Registry => {
    const faults = createFileFaults();
    const registry = createRegistry(all, faults);
    faults.throwIfAny(why);
    return registry;
  };

  const retire = (bundle: Bundle): void => {
    for (const action of bundle.actions) {
      retired.delete(keyOf(action));
      retired.set(keyOf(action), action);
    }
    for (const key of retired.keys()) {
      if (retired.size <= RETIRED_MAX) return;
      retired.delete(key);
    }
  };

  const standing = (
    candidates: readonly Bundle[],
  ): { good: Bundle[]; left: Bundle[]; registry: Registry } => {
    const good: Bundle[] = [];
    const left: Bundle[] = [];
    let registry = built(directories, what);
    for (const bundle of candidates) {
      const faults = createFileFaults();
      const next = createRegistry([...directories, ...good, bundle], faults);
      if (faults.count > 0) left.push(bundle);
      else {
        good.push(bundle);
        registry = next;
      }
    }
    return { good, left, registry };
  };

  let registry = built(bundles, what);
  directories = bundles;

  return {
    get registry() {
      return registry;
    },
    get directories() {
      return directories;
    },

    withDirectories: (next, why) => built([...next, ...registered], why),

    setDirectories(next) {
      const gone = directories.filter((bundle) => !next.includes(bundle));
      registry = built([...next, ...registered], what);
      directories = next;
      gone.forEach(retire);
    },

    checkBeside(bundle, others) {
      const faults = createFileFaults();
      createRegistry([...directories, ...others, bundle], faults);
      if (faults.count > 0) throw contentError(faults.listed, faults.count);
    },

    setRegistered(next) {
      const gone = registered.filter((bundle) => !next.includes(bundle));
      const { good, left, registry: made } = standing(next);
      registry = made;
      registered = good;
      gone.forEach(retire);
      return left;
    },

    retire,

    recall(name, version, digest) {
      const now = registry.versions(name).find(({ capability }) => capability.version === version);
      if (now?.capability.digest === digest) return now;
      return retired.get(`${name}@${version} ${digest}`);
    },
  };
}
