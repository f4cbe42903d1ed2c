import type { Content } from './map-content.js';

/** Ends of file names. What is not here is `.bin`: a name that a program would run or open by itself is never made. */
const EXTENSIONS: Readonly<Record<string, string>> = {
  'application/gzip': 'gz',
  'application/json': 'json',
  'application/octet-stream': 'bin',
  'application/x-tar': 'tar',
  'application/zip': 'zip',
  'application/zstd': 'zst',
  'text/csv': 'csv',
  'text/plain': 'txt',
};
const PART_CHARS_MAX = 64;
const NAME_CHARS_MAX = 200;
const NAMES = new RegExp(
  `^result\\.[A-Za-z0-9_.-]*\\.(?:${[...new Set(Object.values(EXTENSIONS))].join('|')})$`,
);

/** The name of the file for one string of a result: `result.archive.gz`. Made of what the action's schema says only. */
export function contentFileName({ path, mediaType }: Content): string {
  const parts = path.map((part) =>
    String(part)
      .slice(0, PART_CHARS_MAX)
      .replaceAll(/[^A-Za-z0-9_-]/g, '_'),
  );
  const [type = ''] = mediaType.toLowerCase().split(';');
  const extension = Object.hasOwn(EXTENSIONS, type.trim()) ? EXTENSIONS[type.trim()] : 'bin';
  return `result.${parts.join('.').slice(0, NAME_CHARS_MAX)}.${extension}`;
}

/** Whether a file has a name that `contentFileName` makes. */
export const isContentFileName = (name: string): boolean => NAMES.test(name);
