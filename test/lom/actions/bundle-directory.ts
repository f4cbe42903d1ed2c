import { join } from 'node:path';
import { loadBundles } from '../../../services/lom/actions/load-bundles.js';
import type { Registry } from '../../../services/lom/actions/registry.js';
import { createSchemaCompiler } from '../../../services/shared/schema/schema.js';
import { faultsOf } from '../../support/faults-of.js';
import { makeTempDirectory, type TempDirectory } from '../../support/temp-directory.js';

/** A directory for the bundles of a test. */
export interface BundleDirectory {
  readonly directory: Pick<TempDirectory, 'path' | 'write'>;
  /** Loads the bundles of these directories. */
  load(directories: string[]): Promise<Registry>;
  /**
   * Every fault of the bundles of these names, or of the one that the directory is: one `file:line REASON description` each, with
   * paths below the directory.
   */
  faults(...names: string[]): Promise<string[]>;
}

/** One compiler for all tests: making one is the slow part. */
const schemas = createSchemaCompiler();

/** Makes a directory for each test, and removes it. To be called in a `describe`. */
export function bundleDirectory(): BundleDirectory {
  let directory: TempDirectory;
  beforeEach(async () => {
    directory = await makeTempDirectory();
  });
  afterEach(() => directory.remove());
  const load = (directories: string[]): Promise<Registry> => loadBundles(directories, schemas);
  return {
    directory: {
      get path() {
        return directory.path;
      },
      write: (files) => directory.write(files),
    },
    load,
    async faults(...names) {
      const paths = names.length === 0 ? [directory.path] : names.map((name) => join(directory.path, name));
      return faultsOf(load(paths), directory.path);
    },
  };
}
