import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RuneError } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';

/** What following bundle directories works with. */
export interface BundleWatchOptions {
  readonly directories: readonly string[];
  /** How often they are looked at. */
  readonly recheckMs: number;
  /** Loads all of them and lets them take effect, or throws and changes nothing. */
  readonly load: () => Promise<void>;
  readonly logger: Logger;
}

/** Directories that are followed. */
export interface BundleWatch {
  /** Loads everything again now. */
  reload(): Promise<void>;
  stop(): Promise<void>;
}

/** Files of a directory that are looked at: no bundle has more. */
const FILES_MAX = 20_000;

/** A text that is another one when any file below the directories has changed, appeared or gone. Never rejects. */
async function stampOf(directories: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const directory of directories) {
    const names = await readdir(directory, { recursive: true }).catch(() => []);
    for (const name of names.toSorted((a, b) => (a < b ? -1 : 1)).slice(0, FILES_MAX)) {
      const found = await stat(join(directory, name)).catch(() => undefined);
      const { ino, size, mtimeMs, ctimeMs } = found ?? {};
      hash.update(`${name}\0${ino} ${size} ${mtimeMs} ${ctimeMs}\n`);
    }
  }
  return hash.digest('hex');
}

/**
 * Loads bundles again when their files change. What cannot be loaded changes nothing: the old ones stay, and the log says why, once
 * for each change.
 */
export async function watchBundles(options: BundleWatchOptions): Promise<BundleWatch> {
  const { directories, load, logger } = options;
  let stamp = await stampOf(directories);
  let last: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const look = async (isAsked: boolean): Promise<void> => {
    // Before the files are read: what changes in between is seen the next time.
    const now = await stampOf(directories);
    if (now === stamp && !isAsked) return;
    stamp = now;
    try {
      await load();
      logger.info('the plugin bundles were loaded again', { directories });
    } catch (thrown) {
      const { message, facts } = RuneError.from(thrown);
      logger.error('the plugin bundles have changed and cannot be used: the old ones stay', {
        reason: message,
        faults: facts.validationErrors?.map(({ field, description }) => `${field}: ${description}`),
      });
    }
  };
  const lookInTurn = (isAsked: boolean): Promise<void> => {
    last = last.then(() => look(isAsked));
    return last;
  };
  const again = (): void => {
    if (!stopped) timer = setTimeout(() => void lookInTurn(false).then(again), options.recheckMs);
  };
  again();

  return {
    reload: () => lookInTurn(true),
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await last;
    },
  };
}
