import { createHash } from 'node:crypto';

/** A file's path inside its bundle and its bytes. */
export interface DigestFile {
  readonly path: string;
  readonly bytes: Buffer;
}

/** Lower-case hexadecimal SHA-256. */
export function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * Names exactly what an action runs: SHA-256 over the lines that `sha256sum` prints for its files, sorted by path. Anyone can
 * make it again with `sha256sum FILE… | sha256sum` in the bundle's directory.
 */
export function actionDigest(files: readonly DigestFile[]): string {
  const sorted = files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  return sha256(sorted.map(({ path, bytes }) => `${sha256(bytes)}  ${path}\n`).join(''));
}
