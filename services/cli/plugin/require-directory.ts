import { stat } from 'node:fs/promises';
import { RuneError } from '../../shared/errors.js';

/** Throws COMMAND_INVALID if this is not the path of a directory. */
export async function requireDirectory(path: string): Promise<void> {
  const isDirectory = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isDirectory) throw new RuneError('COMMAND_INVALID', `${path}: there is no such directory.`);
}
