import { join } from 'node:path';
import type { SchemaCompiler } from '../shared/schema.js';
import { createSchemaCompiler } from '../shared/schema.js';
import { createBashSyntax } from './bash-syntax.js';
import type { Bundle } from './bundle.js';
import { readBundle } from './bundle.js';
import { createFileFaults } from './file-faults.js';
import type { Registry } from './registry.js';
import { createRegistry } from './registry.js';
import { readSourceFile } from './source-file.js';

/**
 * Loads the plugin bundles of these directories. Throws one CONFIGURATION_INVALID that names all their faults; `warn` is told
 * what could not be checked.
 */
export async function loadBundles(
  directories: readonly string[],
  schemas: SchemaCompiler = createSchemaCompiler(),
  warn: (message: string) => void = () => undefined,
): Promise<Registry> {
  const faults = createFileFaults();
  const bundles: Bundle[] = [];
  const syntax = createBashSyntax();
  for (const directory of directories) {
    const bundle = await readBundle(
      {
        name: directory,
        read: (path, bytesMax) => readSourceFile(join(directory, path), { bytesMax, within: directory }),
      },
      schemas,
      faults,
      syntax,
    );
    if (bundle !== undefined) bundles.push(bundle);
  }
  if (syntax.unavailable !== undefined)
    warn(`the syntax of scripts was not checked: bash cannot be used here (${syntax.unavailable})`);
  const registry = createRegistry(bundles, faults);
  faults.throwIfAny(`The plugin bundle ${directories.join(', ')}`);
  return registry;
}
