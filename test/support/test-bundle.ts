import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../services/shared/package-root.js';

/** Copies the test actions and the shipped library into a bundle below `directory`; resolves with its path. */
export async function makeTestBundle(directory: string): Promise<string> {
  const bundle = join(directory, 'bundle');
  await cp(join(packageRoot, 'test', 'fixtures', 'bundle'), bundle, { recursive: true });
  await mkdir(join(bundle, 'lib'));
  await cp(join(packageRoot, 'plugins', 'lib', 'rune_bpcs.sh'), join(bundle, 'lib', 'rune_bpcs.sh'));
  return bundle;
}
