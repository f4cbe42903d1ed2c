import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { OpenPlugin } from './open-plugin.js';

/** Writes exactly the files that were read and checked into an empty directory, from which LOM loads them. */
export async function stageBundle({ files }: OpenPlugin, directory: string): Promise<void> {
  for (const [path, bytes] of files) {
    const target = join(directory, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, bytes, { flag: 'wx' });
  }
}
