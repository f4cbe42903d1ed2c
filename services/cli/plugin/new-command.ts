import { open, rename, rm } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { YAML_BYTES_MAX } from '../../shared/bundle/bundle-files.js';
import { readBundleHead } from '../../shared/bundle/bundle-head.js';
import { NAME, NAME_RULE } from '../../shared/bundle/file-rules.js';
import { EXIT_CODE, RuneError } from '../../shared/errors.js';
import { createFileFaults } from '../../shared/files/file-faults.js';
import { createSchemaCompiler } from '../../shared/schema/schema.js';
import { readSourceFile } from '../../shared/files/source-file.js';
import { readYaml } from '../../shared/files/yaml-source.js';
import type { PluginNewOptions } from '../commands/plugin.js';
import type { Io } from '../io.js';
import { reasonOf } from '../read-bounded.js';
import { reportError } from '../report-error.js';
import { addToActions } from './add-to-actions.js';
import { newFiles, writeNewFiles } from './new-files.js';
import { requireDirectory } from './require-directory.js';

const NAME_CHARS_MAX = 64;

/** What is done with bundle.yaml: nothing is there to be replaced if `before` is undefined. */
interface BundleChange {
  readonly before: Buffer | undefined;
  /** Undefined if nothing has to change. */
  readonly after: string | undefined;
}

/** A bundle's name, from its directory's where that can be one. */
function moduleName(directory: string): string {
  const words =
    basename(resolve(directory))
      .toLowerCase()
      .match(/[a-z0-9]+/g) ?? [];
  const name = words.join('-').replace(/^[^a-z]+/, '');
  return NAME.test(name) && name.length <= NAME_CHARS_MAX ? name : 'my-plugins';
}

const freshBundle = (directory: string, action: string): string => `module_name: ${moduleName(directory)}
module_version: 1.0.0
module_class: example
description: Actions of our own.
actions:
  - ${action}
`;

async function bundleChange(file: string, directory: string, action: string): Promise<BundleChange> {
  const reading = await readSourceFile(file, { bytesMax: YAML_BYTES_MAX });
  if (!('bytes' in reading)) {
    if (reading.refusal === 'does not exist')
      return { before: undefined, after: freshBundle(directory, action) };
    throw new RuneError('COMMAND_INVALID', `${file} ${reading.refusal}.`);
  }
  const faults = createFileFaults();
  const head = readBundleHead(readYaml(reading.bytes, file), createSchemaCompiler(), faults);
  faults.throwIfAny('The bundle');
  if (head?.actions.includes(action) === true) return { before: reading.bytes, after: undefined };
  const after = addToActions(reading.bytes.toString('utf8'), action);
  if (after !== undefined) return { before: reading.bytes, after };
  throw new RuneError('COMMAND_INVALID', `${file}: write its actions one a line, then try again.`);
}

/** Puts a file in place at once; `replaces` says whether one is there already. */
async function put(file: string, text: string, replaces: boolean): Promise<void> {
  const target = replaces ? `${file}.new` : file;
  const handle = await open(target, 'wx');
  try {
    await handle.writeFile(text);
    if (replaces) await rename(target, file);
  } catch (error) {
    await rm(target, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

async function create({ name, language, risk, directory }: PluginNewOptions, io: Io): Promise<number> {
  if (!NAME.test(name) || name.length > NAME_CHARS_MAX) {
    throw new RuneError(
      'COMMAND_INVALID',
      `The name ${name} ${NAME_RULE}, of at most ${NAME_CHARS_MAX} characters.`,
    );
  }
  await requireDirectory(directory);
  if ('bytes' in (await readSourceFile(join(directory, 'manifest.yaml'), { bytesMax: YAML_BYTES_MAX }))) {
    throw new RuneError(
      'COMMAND_INVALID',
      `${directory} is the directory of an action; go to the bundle's, or name it with --directory.`,
    );
  }
  const bundle = join(directory, 'bundle.yaml');
  const folder = join(directory, name);
  const change = await bundleChange(bundle, directory, name);
  const files = await newFiles(name, language, risk);
  await writeNewFiles(folder, files);
  if (change.after !== undefined) {
    await put(bundle, change.after, change.before !== undefined).catch(
      async (error: NodeJS.ErrnoException) => {
        await rm(folder, { recursive: true, force: true });
        throw new RuneError('COMMAND_INVALID', `${bundle}: ${reasonOf(error)}.`, {}, { cause: error });
      },
    );
  }
  const lines = [
    ...files.map((file) => `made ${join(folder, file.name)}`),
    ...(change.after === undefined ? [] : [`${change.before === undefined ? 'made' : 'added to'} ${bundle}`]),
    '',
    'Next:',
    `  rune plugin test ${folder}`,
    `  rune run ${name} --node localhost --standalone --plugins ${directory}`,
  ];
  await io.stdout.write(lines.map((line) => `${line}\n`).join(''));
  return EXIT_CODE.SUCCEEDED;
}

/** `rune plugin new`: answers the exit code. Makes everything or nothing. */
export async function newCommand(options: PluginNewOptions, io: Io): Promise<number> {
  try {
    return await create(options, io);
  } catch (error) {
    return reportError(io, error, 'pretty', 'See: rune plugin new --help');
  }
}
