import { join } from 'node:path';
import type { FileFaults } from '../files/file-faults.js';
import { readYaml, type YamlSource } from '../files/yaml-source.js';
import type { Action } from './action.js';
import { readAction } from './read-action.js';
import {
  SCRIPT_BYTES_MAX,
  YAML_BYTES_MAX,
  type BundleChecks,
  type BundleFiles,
  type Library,
} from './bundle-files.js';
import { checkConfigurations } from './check-configurations.js';
import { readBundleHead, type BundleHead } from './bundle-head.js';
import { checkText } from './script-check.js';
import { LIBRARY_PATH, shippedLibrary } from './shipped-library.js';

/** A bundle's actions. */
export interface Bundle {
  readonly head: BundleHead;
  /** bundle.yaml as it is named in errors. */
  readonly file: string;
  readonly actions: readonly Action[];
}

/**
 * Reads a bundle and checks all of it. Each file is read once, and the digests are made of exactly the bytes that will run.
 * Faults go to `faults`; an action that has any is left out, undefined stands for a bundle without a usable bundle.yaml.
 */
export async function readBundle(files: BundleFiles, checks: BundleChecks): Promise<Bundle | undefined> {
  const { schemas, faults } = checks;
  const file = join(files.name, 'bundle.yaml');
  const headReading = await files.read('bundle.yaml', YAML_BYTES_MAX);
  if (!('bytes' in headReading)) {
    faults.addFile(file, 'FILE', `the file ${headReading.refusal}`);
    return undefined;
  }
  const before = faults.count;
  const source = readYaml(headReading.bytes, file);
  const head = readBundleHead(source, schemas, faults);
  const isHeadSound = faults.count === before;
  if (head === undefined) return undefined;

  const library = await readLibrary(files, head, source, faults);
  const actions: Action[] = [];
  for (const [index, directory] of head.actions.entries()) {
    const path = `${directory}/manifest.yaml`;
    const reading = await files.read(path, YAML_BYTES_MAX);
    if ('bytes' in reading) {
      const action = await readAction({ files, directory, manifest: reading.bytes, head, library }, checks);
      if (action !== undefined) actions.push(action);
    } else faults.add(source, ['actions', index], 'FILE', `names ${path}, which ${reading.refusal}`);
  }
  if (faults.count === before) checkConfigurations(source, head, actions, faults);
  return isHeadSound ? { head, file, actions } : undefined;
}

/** Undefined for a library that cannot be used. */
async function readLibrary(
  files: BundleFiles,
  { library: path }: BundleHead,
  source: YamlSource,
  faults: FileFaults,
): Promise<Library | undefined> {
  if (path === undefined) return { path: LIBRARY_PATH, bytes: shippedLibrary() };
  const reading = await files.read(path, SCRIPT_BYTES_MAX);
  const refusal = 'bytes' in reading ? checkText(reading.bytes) : reading.refusal;
  if (refusal === undefined && 'bytes' in reading) return { path, bytes: reading.bytes };
  faults.add(source, ['library'], 'FILE', `names ${path}, which ${refusal}`);
  return undefined;
}
