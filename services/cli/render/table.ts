/** A column of a table: its header, and `number` to align it to the right. */
export interface Column {
  readonly header: string;
  readonly align?: 'number';
}

const GAP = '  ';

/** Lines of a table, header first, columns as wide as their widest cell. Cells must be escaped and hold no newline. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map(({ header }, index) =>
    rows.reduce((widest, row) => Math.max(widest, row[index]?.length ?? 0), header.length),
  );
  const line = (cells: readonly string[]) =>
    columns
      .map(({ align }, index) => {
        const [cell, width] = [cells[index] ?? '', widths[index] ?? 0];
        return align === 'number' ? cell.padStart(width) : cell.padEnd(width);
      })
      .join(GAP)
      .trimEnd();
  return [line(columns.map(({ header }) => header)), ...rows.map(line)];
}
