import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * Absolute path of the installed package, the folder that holds package.json, without a slash at its end. The same from the
 * sources and from dist/.
 */
export const packageRoot: string = findRoot(new URL('.', import.meta.url));

function findRoot(folder: URL): string {
  if (existsSync(new URL('package.json', folder))) return fileURLToPath(folder).replace(/\/$/, '');
  const parent = new URL('..', folder);
  if (parent.href === folder.href) throw new Error('No folder above this file holds a package.json.');
  return findRoot(parent);
}
