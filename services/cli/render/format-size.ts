const UNITS = ['KiB', 'MiB', 'GiB'] as const;

/** A number of bytes for people: `512 B`, `12.3 KiB`. */
export function formatSize(bytes: number): string {
  let size = bytes;
  let unit = 'B';
  for (const next of UNITS) {
    if (size < 1024) break;
    size /= 1024;
    unit = next;
  }
  return `${unit === 'B' ? size : size.toFixed(1)} ${unit}`;
}
