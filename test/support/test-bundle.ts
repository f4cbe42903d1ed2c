import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../services/shared/process/package-root.js';

/** Copies a bundle of test actions and the shipped library below `directory`; resolves with the bundle's path. */
export async function makeTestBundle(directory: string, fixture = 'bundle'): Promise<string> {
  const bundle = join(directory, fixture);
  await cp(join(packageRoot, 'test', 'fixtures', fixture), bundle, { recursive: true });
  await mkdir(join(bundle, 'lib'));
  await cp(join(packageRoot, 'plugins', 'lib', 'rune_bpcs.sh'), join(bundle, 'lib', 'rune_bpcs.sh'));
  return bundle;
}
