import { join } from 'node:path';
import type { FileFaults } from '../files/file-faults.js';
import type { SchemaCompiler } from '../schema/schema.js';
import { isObject } from '../schema/schema-graph.js';
import { readYaml, type YamlSource } from '../files/yaml-source.js';
import type { DigestFile } from './action-digest.js';
import { readBoltMetadata, type BoltTask } from './bolt-metadata.js';
import { YAML_BYTES_MAX, type BundleFiles } from './bundle-files.js';
import { FILE_PATH } from './file-rules.js';

/** A task's metadata and the file that it comes from. */
export interface BoltTaskFile {
  readonly task: BoltTask;
  readonly from: DigestFile;
}

/**
 * Reads the metadata file that a manifest names as `bolt_metadata`. Faults go to `faults`; undefined if there is any, or if the
 * manifest names none that could be read: what is wrong with its name is told where the manifest is checked.
 */
export async function readBoltTask(
  files: BundleFiles,
  directory: string,
  manifest: YamlSource,
  { schemas, faults }: { readonly schemas: SchemaCompiler; readonly faults: FileFaults },
): Promise<BoltTaskFile | undefined> {
  const name = isObject(manifest.value) ? manifest.value['bolt_metadata'] : undefined;
  if (typeof name !== 'string' || !FILE_PATH.test(name)) return undefined;
  const path = `${directory}/${name}`;
  const reading = await files.read(path, YAML_BYTES_MAX);
  if (!('bytes' in reading)) {
    faults.add(manifest, ['bolt_metadata'], 'FILE', `names ${path}, which ${reading.refusal}`);
    return undefined;
  }
  // JSON is YAML, whose reader knows the lines.
  const source = readYaml(reading.bytes, join(files.name, path));
  const task = readBoltMetadata(source, schemas, faults);
  return task === undefined ? undefined : { task, from: { path, bytes: reading.bytes } };
}
