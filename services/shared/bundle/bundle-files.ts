import type { FileFaults } from '../files/file-faults.js';
import type { SchemaCompiler } from '../schema/schema.js';
import type { FileReading } from '../files/source-file.js';
import type { BashSyntax } from './bash-syntax.js';

/** Largest script or library, in bytes. */
export const SCRIPT_BYTES_MAX = 1024 * 1024;
/** Largest bundle.yaml or manifest.yaml, in bytes. */
export const YAML_BYTES_MAX = 512 * 1024;

/** Where a bundle comes from: its name in errors and how a file of it is read, by its path inside the bundle. */
export interface BundleFiles {
  readonly name: string;
  read(path: string, bytesMax: number): Promise<FileReading>;
}

/** The shell library of a bundle and the path by which digests name it. */
export interface Library {
  readonly path: string;
  readonly bytes: Buffer;
}

/** What reading a bundle works with. */
export interface BundleChecks {
  readonly schemas: SchemaCompiler;
  readonly faults: FileFaults;
  readonly syntax: BashSyntax;
}
