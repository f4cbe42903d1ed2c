import { join } from 'node:path';
import type { SchemaCompiler } from '../shared/schema.js';
import { createSchemaCompiler } from '../shared/schema.js';
import type { Bundle } from './bundle.js';
import { readBundle } from './bundle.js';
import { createFileFaults } from './file-faults.js';
import type { Registry } from './registry.js';
import { createRegistry } from './registry.js';
import { readSourceFile } from './source-file.js';

/** Loads the plugin bundles of these directories. Throws one CONFIGURATION_INVALID that names all their faults. */
export async function loadBundles(
  directories: readonly string[],
  schemas: SchemaCompiler = createSchemaCompiler(),
): Promise<Registry> {
  const faults = createFileFaults();
  const bundles: Bundle[] = [];
  for (const directory of directories) {
    const bundle = await readBundle(
      {
        name: directory,
        read: (path, bytesMax) => readSourceFile(join(directory, path), { bytesMax, within: directory }),
      },
      schemas,
      faults,
    );
    if (bundle !== undefined) bundles.push(bundle);
  }
  const registry = createRegistry(bundles, faults);
  faults.throwIfAny(`The plugin bundle ${directories.join(', ')}`);
  return registry;
}
