import { access } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { createBashSyntax } from '../../shared/bundle/bash-syntax.js';
import { type Bundle, readBundle } from '../../shared/bundle/bundle.js';
import { type BundleChecks, type BundleFiles, YAML_BYTES_MAX } from '../../shared/bundle/bundle-files.js';
import { readBundleHead } from '../../shared/bundle/bundle-head.js';
import { NAME, NAME_RULE } from '../../shared/bundle/file-rules.js';
import { RuneError } from '../../shared/errors.js';
import type { FileFaults } from '../../shared/files/file-faults.js';
import { createSchemaCompiler } from '../../shared/schema/schema.js';
import { readSourceFile } from '../../shared/files/source-file.js';
import { readYaml, type YamlSource } from '../../shared/files/yaml-source.js';
import { requireDirectory } from './require-directory.js';

const BUNDLE_FILE = 'bundle.yaml';
const MANIFEST_FILE = 'manifest.yaml';

/** The head of a bundle that holds nothing but the action to be tried. */
const LONE_BUNDLE = {
  module_name: 'lone-action',
  module_version: '0.0.0',
  module_class: 'example',
  description: 'One action that is in no bundle.',
};

/** A bundle, or one action of it, as it was read from a directory. */
export interface OpenPlugin {
  /** The bundle's directory, absolute. */
  readonly root: string;
  /** How a file of the bundle is named to the person. */
  shown(path: string): string;
  /** Directories of the actions that are meant, inside the bundle. */
  readonly actions: readonly string[];
  /** An action that its bundle.yaml does not list, so that LOM would not load it. */
  readonly isUnlisted: boolean;
  /** What was read, by its path inside the bundle: enough to load it elsewhere. */
  readonly files: ReadonlyMap<string, Buffer>;
  /** Reads one more file of the bundle, which then is in `files` too. */
  readonly read: BundleFiles['read'];
  /** Undefined if bundle.yaml cannot be used; actions with faults are left out. */
  readonly bundle: Bundle | undefined;
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** bundle.yaml as it is read: the file itself, or one that names only the action which is meant. */
interface Head {
  readonly bytes: Buffer;
  readonly actions: readonly string[];
  readonly isUnlisted: boolean;
  /** Faults of `bytes` are told as faults of this file. */
  readonly source?: YamlSource;
}

/** Faults that say the places in the real bundle.yaml instead of those in the narrowed one. */
function toldOf(real: YamlSource, action: string, faults: FileFaults): FileFaults {
  const listed = (real.value as { actions: readonly string[] }).actions.indexOf(action);
  return {
    ...faults,
    get count() {
      return faults.count;
    },
    add(source, path, reason, description) {
      if (source.file !== real.file) faults.add(source, path, reason, description);
      else faults.add(real, path[0] === 'actions' ? ['actions', listed] : path, reason, description);
    },
  };
}

/** The name that the manifest gives the action; its directory's where it says none. */
async function actionName(files: BundleFiles, directory: string): Promise<string> {
  const reading = await files.read(`${directory}/${MANIFEST_FILE}`, YAML_BYTES_MAX);
  const value = 'bytes' in reading ? readYaml(reading.bytes, '').value : undefined;
  const name = (value as { action?: unknown } | null | undefined)?.action;
  return typeof name === 'string' ? name : directory;
}

/** The head for one action: that of the bundle around it, if there is one, without the other actions. */
async function headOfOne(
  files: BundleFiles,
  action: string,
  { schemas, faults }: Pick<BundleChecks, 'schemas' | 'faults'>,
): Promise<Head | undefined> {
  const lone = { actions: [action], isUnlisted: true };
  const reading = await files.read(BUNDLE_FILE, YAML_BYTES_MAX);
  if (!('bytes' in reading)) {
    if (reading.refusal !== 'does not exist') {
      faults.addFile(join(files.name, BUNDLE_FILE), 'FILE', `the file ${reading.refusal}`);
      return undefined;
    }
    return { ...lone, bytes: Buffer.from(JSON.stringify({ ...LONE_BUNDLE, actions: [action] })) };
  }
  const source = readYaml(reading.bytes, join(files.name, BUNDLE_FILE));
  const before = faults.count;
  const head = readBundleHead(source, schemas, faults);
  if (head === undefined || faults.count > before) return undefined;
  const name = await actionName(files, action);
  const { configuration = {}, ...rest } = source.value as { configuration?: Record<string, unknown> };
  const narrowed = {
    ...rest,
    actions: [action],
    ...(Object.hasOwn(configuration, name) ? { configuration: { [name]: configuration[name] } } : {}),
  };
  return {
    bytes: Buffer.from(JSON.stringify(narrowed)),
    actions: [action],
    isUnlisted: !head.actions.includes(action),
    source,
  };
}

async function headOfAll(files: BundleFiles, faults: FileFaults): Promise<Head | undefined> {
  const reading = await files.read(BUNDLE_FILE, YAML_BYTES_MAX);
  if (!('bytes' in reading)) {
    faults.addFile(join(files.name, BUNDLE_FILE), 'FILE', `the file ${reading.refusal}`);
    return undefined;
  }
  const value = readYaml(reading.bytes, '').value as { actions?: unknown } | null | undefined;
  const actions = Array.isArray(value?.actions)
    ? value.actions.filter((name) => typeof name === 'string')
    : [];
  return { bytes: reading.bytes, actions, isUnlisted: false };
}

/** How people name the directory above: as they wrote it, if they wrote the whole path. */
function shownParent(directory: string): string {
  const parent = dirname(resolve(directory));
  return isAbsolute(directory) ? parent : relative('.', parent) || '.';
}

/**
 * Reads the bundle in a directory, or the one action whose directory it is together with the bundle around it, if there is any.
 * What is wrong goes to `faults`. Throws COMMAND_INVALID if the directory is neither.
 */
export async function openPlugin(directory: string, faults: FileFaults): Promise<OpenPlugin> {
  await requireDirectory(directory);
  const isAction = await isThere(join(directory, MANIFEST_FILE));
  if (!isAction && !(await isThere(join(directory, BUNDLE_FILE)))) {
    throw new RuneError(
      'COMMAND_INVALID',
      `${directory}: holds neither ${MANIFEST_FILE} nor ${BUNDLE_FILE}.`,
    );
  }
  const action = basename(resolve(directory));
  if (isAction && !NAME.test(action)) {
    throw new RuneError('COMMAND_INVALID', `The directory's name ${action} ${NAME_RULE}.`);
  }
  const root = isAction ? dirname(resolve(directory)) : resolve(directory);
  const name = isAction ? shownParent(directory) : directory;
  const schemas = createSchemaCompiler();
  const read: BundleFiles['read'] = (path, bytesMax) =>
    readSourceFile(join(root, path), { bytesMax, within: root });

  const head = isAction
    ? await headOfOne({ name, read }, action, { schemas, faults })
    : await headOfAll({ name, read }, faults);
  const files = new Map<string, Buffer>();
  const recording: BundleFiles = {
    name,
    async read(path, bytesMax) {
      const reading =
        path === BUNDLE_FILE && head !== undefined ? { bytes: head.bytes } : await read(path, bytesMax);
      if ('bytes' in reading) files.set(path, reading.bytes);
      return reading;
    },
  };
  const told = head?.source === undefined ? faults : toldOf(head.source, action, faults);
  const bundle =
    head === undefined
      ? undefined
      : await readBundle(recording, { schemas, faults: told, syntax: createBashSyntax() });
  return {
    root,
    shown: (path) => join(name, path),
    actions: head?.actions ?? [],
    isUnlisted: head?.isUnlisted ?? false,
    files,
    read: recording.read,
    bundle,
  };
}
