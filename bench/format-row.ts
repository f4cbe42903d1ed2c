import type { Row } from './row.js';

const WIDTHS = [28, 10, 10, 8, 8];

const line = (cells: readonly string[]): string =>
  cells
    .map((cell, index) => (index === 0 ? cell.padEnd(WIDTHS[0] ?? 0) : cell.padStart(WIDTHS[index] ?? 0)))
    .join('  ')
    .trimEnd();

const figure = (value: number): string =>
  Number.isNaN(value) ? '-' : value.toFixed(Math.abs(value) >= 1000 ? 0 : 2);

/** The line above the rows. */
export const HEADER = line(['name[unit]', 'ours', 'baseline', 'ratio', 'target', 'verdict']);

/** A row as one line: name[unit] ours baseline ratio target pass|FAIL, and behind a FAIL what was missing, if anything was. */
export function formatRow(row: Row): string {
  return line([
    `${row.name}[${row.unit}]`,
    figure(row.ours),
    figure(row.baseline),
    figure(row.ratio),
    `${row.target.relation}${row.target.ratio.toFixed(2)}`,
    row.pass ? 'pass' : `FAIL${row.reason === undefined ? '' : ` (${row.reason})`}`,
  ]);
}
