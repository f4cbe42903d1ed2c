import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { RuneError } from '../shared/errors.js';

/** A whole stream as UTF-8 text. Throws COMMAND_INVALID naming `flag` if it is longer than `bytesMax` or not UTF-8. */
export async function readStreamBounded(
  stream: Readable,
  bytesMax: number,
  flag: string,
  signal?: AbortSignal,
): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  const stop = () => stream.destroy();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    for await (const chunk of stream) {
      const bytes = Buffer.from(chunk as Uint8Array);
      size += bytes.length;
      if (size > bytesMax) throw new RuneError('COMMAND_INVALID', `${flag}: longer than ${bytesMax} bytes.`);
      chunks.push(bytes);
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch (error) {
    if (signal?.aborted === true) throw new RuneError('CALL_CANCELLED', 'Interrupted while reading.');
    if (error instanceof RuneError) throw error;
    const reason = error instanceof TypeError ? 'not UTF-8 text' : 'could not be read';
    throw new RuneError('COMMAND_INVALID', `${flag}: ${reason}.`, {}, { cause: error });
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/** A whole file as UTF-8 text, bounded like a stream. Throws COMMAND_INVALID naming `flag` and why it cannot be read. */
export async function readFileBounded(
  path: string,
  bytesMax: number,
  flag: string,
  signal?: AbortSignal,
): Promise<string> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    throw new RuneError(
      'COMMAND_INVALID',
      `${flag}: cannot read ${path}: ${reasonOf(error)}.`,
      {},
      { cause: error },
    );
  });
  try {
    if ((await file.stat()).isDirectory()) {
      throw new RuneError('COMMAND_INVALID', `${flag}: cannot read ${path}: it is a directory.`);
    }
    return await readStreamBounded(file.createReadStream({ autoClose: false }), bytesMax, flag, signal);
  } finally {
    await file.close();
  }
}

/** What a file system error means, for people. */
export function reasonOf(error: NodeJS.ErrnoException): string {
  const known: Readonly<Record<string, string>> = {
    ENOENT: 'no such file',
    EACCES: 'permission denied',
    EISDIR: 'it is a directory',
    ENOTDIR: 'part of its path is not a directory',
    ELOOP: 'it is a symbolic link',
    EEXIST: 'it exists already',
    ENOSPC: 'no space left on the device',
    EROFS: 'the file system is read-only',
  };
  return known[error.code ?? ''] ?? error.code ?? error.message;
}
