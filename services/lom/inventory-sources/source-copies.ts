import { mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../shared/logging/logger.js';
import { readSourceFile } from '../../shared/files/source-file.js';
import { INVENTORY_BYTES_MAX, type InventorySource } from './inventory-source.js';

/** The copy of a source in this directory, and when the source had said that; undefined if there is none. */
export async function readCopy(
  directory: string | undefined,
  source: InventorySource,
): Promise<{ bytes: Buffer; readAtMs: number } | undefined> {
  const path = copyOf(directory, source);
  if (path === undefined) return undefined;
  const reading = await readSourceFile(path, { bytesMax: INVENTORY_BYTES_MAX });
  if ('refusal' in reading) return undefined;
  return { bytes: reading.bytes, readAtMs: (await stat(path)).mtimeMs };
}

/** Keeps what is used of a source, unless that is what is kept already. A copy that cannot be kept is missed at a later start at most. */
export async function keepCopy(
  directory: string | undefined,
  source: InventorySource,
  logger: Logger,
): Promise<void> {
  const path = copyOf(directory, source);
  if (path === undefined || source.copiedBytes === source.usedBytes) return;
  try {
    await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
    await writeFile(`${path}.new`, source.usedBytes ?? '', { mode: 0o600 });
    await rename(`${path}.new`, path);
  } catch (thrown) {
    logger.warn('the copy of an inventory source cannot be kept', { source: source.name, err: thrown });
  }
  source.copiedBytes = source.usedBytes;
}

function copyOf(directory: string | undefined, { kind, name }: InventorySource): string | undefined {
  return directory === undefined || kind === 'file' ? undefined : join(directory, `${name}.inventory`);
}
