import { chown, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { RuneError } from '../../shared/errors.js';
import { reasonOf } from '../read-bounded.js';

/**
 * Puts other text into a file at once, so that nobody reads half of it; its mode and its owner stay, and a link is followed.
 * Throws COMMAND_INVALID naming `flag` and why it cannot be written.
 */
export async function replaceFile(path: string, text: string, flag: string): Promise<void> {
  let fresh: string | undefined;
  try {
    const target = await realpath(path);
    const { mode, uid, gid } = await stat(target);
    fresh = `${target}.${process.pid}.new`;
    const file = await open(fresh, 'wx', mode & 0o777);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    const made = await stat(fresh);
    if (made.uid !== uid || made.gid !== gid) await chown(fresh, uid, gid);
    await rename(fresh, target);
  } catch (error) {
    if (fresh !== undefined) await rm(fresh, { force: true });
    const why = reasonOf(error as NodeJS.ErrnoException);
    throw new RuneError('COMMAND_INVALID', `${flag}: cannot write ${path}: ${why}.`, {}, { cause: error });
  }
}
