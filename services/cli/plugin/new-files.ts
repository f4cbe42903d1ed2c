import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RuneError } from '../../shared/errors.js';
import { packageRoot } from '../../shared/process/package-root.js';
import { reasonOf } from '../read-bounded.js';
import type { Language, RiskName } from './template-choices.js';

const TEMPLATES = join(packageRoot, 'services', 'cli', 'plugin', 'templates');
/** The templates are actions that work, and this is their name. */
const TEMPLATE_NAME = 'template-action';
const DIRECTORY_MODE = 0o755;
const SCRIPT = /^plugin\./;

/** A file of a new action: its name and its text. */
export interface NewFile {
  readonly name: string;
  readonly text: string;
}

function filledIn(text: string, name: string, risk: RiskName): string {
  const named = text.replaceAll(TEMPLATE_NAME, name).replace('risk: read_only', `risk: ${risk}`);
  // Trying out an action that changes things must not change the machine of its author.
  return risk === 'read_only' ? named : named.replaceAll('dry_run: false', 'dry_run: true');
}

/** The files of a new action, from the templates that come with the package. */
export async function newFiles(name: string, language: Language, risk: RiskName): Promise<NewFile[]> {
  const files: NewFile[] = [];
  for (const folder of [join(TEMPLATES, language), join(TEMPLATES, 'common')]) {
    for (const file of (await readdir(folder)).toSorted()) {
      files.push({ name: file, text: filledIn(await readFile(join(folder, file), 'utf8'), name, risk) });
    }
  }
  return files;
}

/** Makes the directory, which must not be there yet, with these files. Leaves nothing behind if that fails. */
export async function writeNewFiles(directory: string, files: readonly NewFile[]): Promise<void> {
  await mkdir(directory, { mode: DIRECTORY_MODE }).catch((error: NodeJS.ErrnoException) => {
    throw new RuneError('COMMAND_INVALID', `${directory}: ${reasonOf(error)}.`, {}, { cause: error });
  });
  try {
    for (const { name, text } of files) {
      const path = join(directory, name);
      await writeFile(path, text, { flag: 'wx' });
      if (SCRIPT.test(name)) await chmod(path, DIRECTORY_MODE);
    }
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    const reason = reasonOf(error as NodeJS.ErrnoException);
    throw new RuneError('COMMAND_INVALID', `${directory}: ${reason}.`, {}, { cause: error });
  }
}
