import { join } from 'node:path';
import type { FileFaults } from '../file-faults.js';
import type { SchemaCompiler } from '../schema.js';
import { readSourceFile } from '../source-file.js';
import type { BashSyntax } from './bash-syntax.js';
import type { Bundle } from './bundle.js';
import { readBundle } from './bundle.js';

/** The bundle of a directory, as readBundle reads it; no file of it may lead out of the directory. */
export function readBundleDirectory(
  directory: string,
  schemas: SchemaCompiler,
  faults: FileFaults,
  syntax: BashSyntax,
): Promise<Bundle | undefined> {
  const files = {
    name: directory,
    read: (path: string, bytesMax: number) =>
      readSourceFile(join(directory, path), { bytesMax, within: directory }),
  };
  return readBundle(files, schemas, faults, syntax);
}
