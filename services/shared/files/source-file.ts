import { constants } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import { sep } from 'node:path';

/** Bytes of a file, or one sentence part that says why they cannot be used ("is not a regular file"). */
export type FileReading = { readonly bytes: Buffer } | { readonly refusal: string };

/** What a file must be to be read. */
export interface FileRules {
  readonly bytesMax: number;
  /** Directory that the file must really lie in, once every link was followed. */
  readonly within?: string;
}

/** Reads a file once, whole, and only if it is a regular file within its limits. Never waits for a pipe or a device. */
export async function readSourceFile(path: string, rules: FileRules): Promise<FileReading> {
  try {
    const real = await realpath(path);
    if (rules.within !== undefined && !real.startsWith((await realpath(rules.within)) + sep)) {
      return { refusal: 'leads out of its bundle' };
    }
    // The path holds no link any more: one that appears now was put there in between.
    const file = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const status = await file.stat();
      if (!status.isFile()) return { refusal: 'is not a regular file' };
      const buffer = Buffer.alloc(Math.min(status.size, rules.bytesMax) + 1);
      let length = 0;
      for (let read = -1; read !== 0 && length < buffer.length; length += read) {
        ({ bytesRead: read } = await file.read(buffer, length, buffer.length - length, length));
      }
      if (length > rules.bytesMax) return { refusal: `is larger than ${rules.bytesMax} bytes` };
      if (length === buffer.length) return { refusal: 'changed while it was read' };
      return { bytes: buffer.subarray(0, length) };
    } finally {
      await file.close();
    }
  } catch (thrown) {
    return { refusal: reasonOf(thrown) };
  }
}

function reasonOf(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'unknown fault';
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'does not exist';
  if (code === 'EISDIR') return 'is not a regular file';
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read by this user';
  return `cannot be read (${code})`;
}
