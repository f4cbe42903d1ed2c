import type { SchemaCompiler } from '../shared/schema.js';
import { createSchemaCompiler } from '../shared/schema.js';
import { createBashSyntax } from '../shared/bundle/bash-syntax.js';
import type { Bundle } from '../shared/bundle/bundle.js';
import { readBundleDirectory } from '../shared/bundle/read-bundle-directory.js';
import { createFileFaults } from '../shared/file-faults.js';
import type { Registry } from './registry.js';
import { createRegistry } from './registry.js';

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
    const bundle = await readBundleDirectory(directory, { schemas, faults, syntax });
    if (bundle !== undefined) bundles.push(bundle);
  }
  if (syntax.unavailable !== undefined)
    warn(`the syntax of scripts was not checked: bash cannot be used here (${syntax.unavailable})`);
  const registry = createRegistry(bundles, faults);
  faults.throwIfAny(`The plugin bundle ${directories.join(', ')}`);
  return registry;
}
