import type { Bundle } from '../../shared/bundle/bundle.js';
import { RuneError } from '../../shared/errors.js';
import { ModuleContent } from '../../shared/gen/rune/v1/registry.js';
import { metadataOf } from './known-mediators.js';
import { readContent } from './module-content.js';
import { nameOf, titleOf, type ModuleRecord } from '../store/module-record.js';
import type { ModuleRegistryDeps } from './registry-deps.js';

/** The bundles of registrations, as they were read. */
export interface RegisteredBundles {
  has(record: ModuleRecord): boolean;
  of(records: readonly ModuleRecord[]): Bundle[];
  add(record: ModuleRecord, bundle: Bundle): void;
  /** Reads the bundle of a record that somebody else registered. One that is not `isLive` serves only what was accepted before. */
  load(record: ModuleRecord, isLive: boolean): Promise<void>;
  /** Forgets the bundles of all other registrations. */
  keepOnly(registrationIds: ReadonlyMap<string, unknown>): void;
  /** Lets the actions of exactly these registrations be served. */
  serve(records: readonly ModuleRecord[]): void;
}

/** None yet. */
export function createRegisteredBundles(
  deps: Pick<ModuleRegistryDeps, 'store' | 'catalogue' | 'schemas' | 'syntax' | 'logger'>,
): RegisteredBundles {
  const { store, catalogue, logger } = deps;
  const bundles = new Map<string, Bundle>();
  let served = '';

  const of = (records: readonly ModuleRecord[]): Bundle[] =>
    records.flatMap(({ registrationId }) => bundles.get(registrationId) ?? []);

  return {
    has: ({ registrationId }) => bundles.has(registrationId),
    of,
    add: ({ registrationId }, bundle) => void bundles.set(registrationId, bundle),

    async load(record, isLive) {
      const { registrationId } = record;
      if (metadataOf(record) !== undefined || bundles.has(registrationId)) return;
      try {
        const content = await store.content(registrationId);
        if (content === undefined) return;
        const bundle = await readContent(ModuleContent.decode(content), nameOf(record), deps);
        bundles.set(registrationId, bundle);
        if (!isLive) catalogue.retire(bundle);
      } catch (thrown) {
        logger.error('a registered bundle cannot be loaded', {
          module: titleOf(record),
          err: RuneError.from(thrown),
        });
      }
    },

    keepOnly(registrationIds) {
      for (const id of bundles.keys()) if (!registrationIds.has(id)) bundles.delete(id);
    },

    serve(records) {
      const ids = records.map(({ registrationId }) => registrationId).join();
      if (ids === served) return;
      served = ids;
      for (const { head } of catalogue.setRegistered(of(records)))
        logger.error('a registered bundle cannot serve beside the others', {
          module: `${head.moduleName}@${head.moduleVersion}`,
        });
    },
  };
}
