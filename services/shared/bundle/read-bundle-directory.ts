import { join } from 'node:path';
import { readSourceFile } from '../files/source-file.js';
import { readBundle, type Bundle } from './bundle.js';
import type { BundleChecks } from './bundle-files.js';

/** The bundle of a directory, as readBundle reads it; no file of it may lead out of the directory. */
export function readBundleDirectory(directory: string, checks: BundleChecks): Promise<Bundle | undefined> {
  const files = {
    name: directory,
    read: (path: string, bytesMax: number) =>
      readSourceFile(join(directory, path), { bytesMax, within: directory }),
  };
  return readBundle(files, checks);
}
