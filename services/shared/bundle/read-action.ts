import { join } from 'node:path';
import { Delivery, PluginProtocol } from '../gen/rune/v1/mrs.js';
import { readYaml, type YamlSource } from '../files/yaml-source.js';
import type { Action, ActionFile } from './action.js';
import { actionDigest, sha256, type DigestFile } from './action-digest.js';
import type { BundleHead } from './bundle-head.js';
import { SCRIPT_BYTES_MAX, type BundleChecks, type BundleFiles, type Library } from './bundle-files.js';
import { COMMAND_SCRIPT } from './command-script.js';
import { readBoltTask } from './read-bolt-task.js';
import { readManifest, type Manifest } from './manifest.js';
import { checkScript, checkText } from './script-check.js';
import { LIBRARY_PATH } from './shipped-library.js';

/** Helper files of one action together, in bytes. */
const FILES_BYTES_MAX = 2 * 1024 * 1024;

/** Script, library and helper files together, in bytes: they travel in one message with a megabyte of parameters. */
const PLUGIN_BYTES_MAX = 2.5 * 1024 * 1024;

/** Where plugin and library lie in the folder that a node makes for the delivery `directory`. */
const TAKEN_PATHS = ['plugin', 'rune_bpcs.sh', LIBRARY_PATH];

/** An action of a bundle that is being read. */
export interface ActionSource {
  readonly files: BundleFiles;
  /** The action's directory inside the bundle. */
  readonly directory: string;
  /** Bytes of its manifest.yaml. */
  readonly manifest: Buffer;
  readonly head: BundleHead;
  /** Undefined if the bundle's own library is faulty, which is told elsewhere. */
  readonly library: Library | undefined;
}

/** Reads an action's manifest and all files it names. Faults go to the checks; undefined if there is any. */
export async function readAction(from: ActionSource, checks: BundleChecks): Promise<Action | undefined> {
  const { files, directory, head, library } = from;
  const { faults } = checks;
  const path = `${directory}/manifest.yaml`;
  const source = readYaml(from.manifest, join(files.name, path));
  const before = faults.count;
  const task = await readBoltTask(files, directory, source, checks);
  const manifest = readManifest(source, checks.schemas, faults, task?.task);
  if (manifest === undefined || faults.count > before) return undefined;
  const { entrypoint, files: _files, arguments: words, parameterInput, ...rest } = manifest;
  const { secrets, input, output, configuration, ...declared } = rest;
  const script =
    entrypoint === undefined
      ? undefined
      : await readScript(from, entrypoint, manifest.delivery, source, checks);
  const helpers = await readHelpers(from, manifest, source, checks);
  if (helpers === undefined || library === undefined || faults.count > before) return undefined;
  const libraries = manifest.protocol === PluginProtocol.BPCS ? [library] : [];
  const scriptBytes = script?.bytes ?? COMMAND_SCRIPT;
  const libraryBytes = libraries[0]?.bytes ?? Buffer.alloc(0);
  const parts = [scriptBytes, libraryBytes, ...helpers.map(({ file }) => file.bytes)];
  if (parts.reduce((sum, { length }) => sum + length, 0) > PLUGIN_BYTES_MAX) {
    const rule = `script, library and helper files together are larger than ${PLUGIN_BYTES_MAX} bytes`;
    faults.add(source, ['files'], 'SIZE', `names too much: ${rule}`);
    return undefined;
  }
  return {
    capability: {
      ...declared,
      digest: actionDigest([
        { path, bytes: from.manifest },
        ...(task === undefined ? [] : [task.from]),
        ...(script === undefined ? [] : [script]),
        ...helpers.map(({ from }) => from),
        ...libraries,
      ]),
      moduleName: head.moduleName,
    },
    script: scriptBytes,
    scriptSha256: sha256(scriptBytes),
    library: libraryBytes,
    librarySha256: sha256(libraryBytes),
    files: helpers.map(({ file }) => file),
    arguments: words,
    parameterInput,
    secrets,
    input,
    output,
    configuration:
      configuration === undefined
        ? undefined
        : { check: configuration, values: head.configuration[manifest.action] ?? {} },
    file: source.file,
  };
}

async function readScript(
  { files, directory }: ActionSource,
  entrypoint: string,
  delivery: Delivery,
  source: YamlSource,
  { faults, syntax }: BundleChecks,
): Promise<DigestFile | undefined> {
  const path = `${directory}/${entrypoint}`;
  const reading = await files.read(path, SCRIPT_BYTES_MAX);
  let refusal = 'bytes' in reading ? checkScript(reading.bytes, delivery) : reading.refusal;
  if (refusal === undefined && 'bytes' in reading && delivery === Delivery.STREAM) {
    refusal = await syntax.check(reading.bytes);
  }
  if (refusal === undefined && 'bytes' in reading) return { path, bytes: reading.bytes };
  faults.add(source, ['entrypoint'], 'FILE', `names ${path}, which ${refusal}`);
  return undefined;
}

/** The helper files, each under the path that it has in the bundle and under the one that it gets beside the plugin. */
async function readHelpers(
  { files, directory }: ActionSource,
  manifest: Manifest,
  source: YamlSource,
  { faults, syntax }: BundleChecks,
): Promise<{ file: ActionFile; from: DigestFile }[] | undefined> {
  const helpers: { file: ActionFile; from: DigestFile }[] = [];
  const before = faults.count;
  let bytesLeft = FILES_BYTES_MAX;
  for (const [index, name] of manifest.files.entries()) {
    const isShared = name.startsWith('/');
    const path = isShared ? name.slice(1) : `${directory}/${name}`;
    const add = (refusal: string): void => {
      faults.add(source, ['files', index], 'FILE', `names ${path}, which ${refusal}`);
    };
    const reading = await files.read(path, bytesLeft);
    if (!('bytes' in reading)) {
      add(reading.refusal);
      continue;
    }
    const { bytes } = reading;
    bytesLeft -= bytes.length;
    let refusal = bytes.length === 0 ? 'is empty' : checkText(bytes);
    if (refusal === undefined && manifest.delivery === Delivery.STREAM) refusal = await syntax.check(bytes);
    if (refusal !== undefined) add(refusal);
    const file = { path: isShared ? path : name, bytes, sha256: sha256(bytes) };
    const others = [...TAKEN_PATHS, ...helpers.map(({ file: other }) => other.path)];
    if (others.some((other) => clash(other, file.path))) {
      add(`would lie beside the plugin as ${file.path}, where another file lies`);
    }
    helpers.push({ file, from: { path, bytes } });
  }
  return faults.count === before ? helpers : undefined;
}

/** Whether two files cannot lie in one folder: they have the same path, or one of them would have to be a directory. */
function clash(a: string, b: string): boolean {
  return a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`);
}
