import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../process/package-root.js';

/** Where the shell library lies in the bundle that comes with this package, and in folders that are made for plugins. */
export const LIBRARY_PATH = 'lib/rune_bpcs.sh';

/** The text of the shell library that comes with this package. */
export function shippedLibrary(): Buffer {
  return readFileSync(join(packageRoot, 'plugins', LIBRARY_PATH));
}
