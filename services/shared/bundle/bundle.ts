import { join } from 'node:path';
import { Delivery } from '../gen/rune/v1/mrs.js';
import type { SchemaCompiler } from '../schema.js';
import type { Action } from './action.js';
import { actionDigest, sha256 } from './action-digest.js';
import type { BashSyntax } from './bash-syntax.js';
import type { FileFaults } from '../file-faults.js';
import type { BundleHead } from './manifest.js';
import { readBundleHead, readManifest } from './manifest.js';
import { checkScript, checkText } from './script-check.js';
import type { FileReading } from '../source-file.js';
import { readYaml } from '../yaml-source.js';

/** Largest script or library, in bytes. */
const SCRIPT_BYTES_MAX = 1024 * 1024;
/** Largest bundle.yaml or manifest.yaml, in bytes. */
const YAML_BYTES_MAX = 512 * 1024;

/** A bundle's actions. */
export interface Bundle {
  readonly head: BundleHead;
  /** bundle.yaml as it is named in errors. */
  readonly file: string;
  readonly actions: readonly Action[];
}

/** Where a bundle comes from: its name in errors and how a file of it is read, by its path inside the bundle. */
export interface BundleFiles {
  readonly name: string;
  read(path: string, bytesMax: number): Promise<FileReading>;
}

/**
 * Reads a bundle and checks all of it. Each file is read once, and the digests are made of exactly the bytes that will run.
 * Faults go to `faults`; an action that has any is left out, undefined stands for a bundle without a usable bundle.yaml.
 */
export async function readBundle(
  files: BundleFiles,
  schemas: SchemaCompiler,
  faults: FileFaults,
  syntax: BashSyntax,
): Promise<Bundle | undefined> {
  const nameOf = (path: string): string => join(files.name, path);

  const headReading = await files.read('bundle.yaml', YAML_BYTES_MAX);
  if (!('bytes' in headReading)) {
    faults.addFile(nameOf('bundle.yaml'), 'FILE', `the file ${headReading.refusal}`);
    return undefined;
  }
  const before = faults.count;
  const headSource = readYaml(headReading.bytes, nameOf('bundle.yaml'));
  const head = readBundleHead(headSource, schemas, faults);
  const isHeadSound = faults.count === before;
  if (head === undefined) return undefined;

  const library = await files.read(head.library, SCRIPT_BYTES_MAX);
  const libraryRefusal = 'bytes' in library ? checkText(library.bytes) : library.refusal;
  if (libraryRefusal !== undefined) {
    faults.add(headSource, ['library'], 'FILE', `names ${head.library}, which ${libraryRefusal}`);
  }

  const actions: Action[] = [];
  for (const [index, directory] of head.actions.entries()) {
    const path = `${directory}/manifest.yaml`;
    const reading = await files.read(path, YAML_BYTES_MAX);
    if (!('bytes' in reading)) {
      faults.add(headSource, ['actions', index], 'FILE', `names ${path}, which ${reading.refusal}`);
      continue;
    }
    const source = readYaml(reading.bytes, nameOf(path));
    const manifest = readManifest(source, schemas, faults);
    if (manifest === undefined) continue;
    const entrypoint = `${directory}/${manifest.entrypoint}`;
    const script = await files.read(entrypoint, SCRIPT_BYTES_MAX);
    const refusal =
      'bytes' in script ? await refusalOf(script.bytes, manifest.delivery, syntax) : script.refusal;
    if (refusal !== undefined) {
      faults.add(source, ['entrypoint'], 'FILE', `names ${entrypoint}, which ${refusal}`);
    }
    if (refusal !== undefined || libraryRefusal !== undefined) continue;
    if (!('bytes' in script) || !('bytes' in library)) continue;
    const { entrypoint: _path, input, output, ...declared } = manifest;
    actions.push({
      capability: {
        ...declared,
        digest: actionDigest([
          { path, bytes: reading.bytes },
          { path: entrypoint, bytes: script.bytes },
          { path: head.library, bytes: library.bytes },
        ]),
        moduleName: head.moduleName,
      },
      script: script.bytes,
      scriptSha256: sha256(script.bytes),
      library: library.bytes,
      librarySha256: sha256(library.bytes),
      input,
      output,
      file: source.file,
    });
  }
  return isHeadSound ? { head, file: headSource.file, actions } : undefined;
}

async function refusalOf(
  script: Buffer,
  delivery: Delivery,
  syntax: BashSyntax,
): Promise<string | undefined> {
  const refusal = checkScript(script, delivery);
  return refusal === undefined && delivery === Delivery.STREAM ? syntax.check(script) : refusal;
}
