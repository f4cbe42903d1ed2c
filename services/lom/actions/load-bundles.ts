import type { SchemaCompiler } from '../../shared/schema/schema.js';
import { createSchemaCompiler } from '../../shared/schema/schema.js';
import { createBashSyntax } from '../../shared/bundle/bash-syntax.js';
import type { Bundle } from '../../shared/bundle/bundle.js';
import { readBundleDirectory } from '../../shared/bundle/read-bundle-directory.js';
import { createFileFaults } from '../../shared/files/file-faults.js';
import type { Registry } from './registry.js';
import { createRegistry } from './registry.js';

/** Bundles and the registry of their actions. */
export interface LoadedBundles {
  readonly bundles: readonly Bundle[];
  readonly registry: Registry;
}

/** How the bundles of these directories are called in messages. */
export const bundlesName = (directories: readonly string[]): string =>
  `The plugin bundle ${directories.join(', ')}`;

/**
 * Reads the plugin bundles of these directories. Throws one CONFIGURATION_INVALID that names all their faults; `warn` is told
 * what could not be checked.
 */
export async function readBundles(
  directories: readonly string[],
  schemas: SchemaCompiler,
  warn: (message: string) => void,
): Promise<LoadedBundles> {
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
  faults.throwIfAny(bundlesName(directories));
  return { bundles, registry };
}

/** The registry of the bundles that readBundles reads. */
export async function loadBundles(
  directories: readonly string[],
  schemas: SchemaCompiler = createSchemaCompiler(),
  warn: (message: string) => void = () => undefined,
): Promise<Registry> {
  return (await readBundles(directories, schemas, warn)).registry;
}
