import { escapeText } from './escape-text.js';
import { renderTable } from './table.js';

/** Deeper values are named, not shown: a hostile result must not exhaust the stack. */
const DEPTH_MAX = 24;
const KEY_WIDTH_MAX = 24;
const TABLE_COLUMNS_MAX = 12;
const INLINE_CHARS_MAX = 60;
const INLINE_ITEMS_MAX = 30;
const INDENT = '  ';

type Scalar = string | number | boolean | null;
type Fields = Readonly<Record<string, unknown>>;

const isScalar = (value: unknown): value is Scalar => typeof value !== 'object' || value === null;
const isFields = (value: unknown): value is Fields => !isScalar(value) && !Array.isArray(value);
const indent = (lines: readonly string[]) => lines.map((line) => INDENT + line);

function scalarLines(value: Scalar): string[] {
  if (value === '') return ['""'];
  return String(value)
    .replace(/\r?\n$/, '')
    .split(/\r?\n/)
    .map(escapeText);
}

/** The value on one line, where it has one that is short enough to read. */
function inline(value: unknown): string | undefined {
  if (isScalar(value)) {
    const lines = scalarLines(value);
    return lines.length === 1 ? lines[0] : undefined;
  }
  if (Object.keys(value as object).length === 0) return '(none)';
  if (!Array.isArray(value) || value.length > INLINE_ITEMS_MAX || !value.every(isScalar)) return undefined;
  const texts = value.map(inline);
  const joined = texts.every((text) => text !== undefined) ? texts.join(', ') : '';
  return joined !== '' && joined.length <= INLINE_CHARS_MAX ? joined : undefined;
}

function fieldLines(fields: Fields, width: number, depth: number): string[] {
  const entries = Object.entries(fields).map(([key, value]) => ({
    key: `${escapeText(key)}:`,
    value,
    text: inline(value),
  }));
  const keyWidth = entries
    .filter(({ text }) => text !== undefined)
    .reduce((widest, { key }) => Math.max(widest, Math.min(key.length, KEY_WIDTH_MAX)), 0);
  return entries.flatMap(({ key, value, text }) =>
    text === undefined
      ? [key, ...indent(renderValue(value, width - INDENT.length, depth + 1))]
      : [`${key.padEnd(keyWidth)} ${text}`],
  );
}

/** An array of objects with the same scalar fields, as a table, where that fits into `width`. */
function tableLines(items: readonly unknown[], width: number): string[] | undefined {
  const [first] = items;
  if (!isFields(first)) return undefined;
  const keys = Object.keys(first);
  if (keys.length === 0 || keys.length > TABLE_COLUMNS_MAX) return undefined;
  const rows: string[][] = [];
  for (const item of items) {
    if (!isFields(item) || Object.keys(item).length !== keys.length) return undefined;
    const cells = keys.map((key) => (Object.hasOwn(item, key) ? inline(item[key]) : undefined));
    if (cells.some((cell) => cell === undefined)) return undefined;
    rows.push(cells as string[]);
  }
  const columns = keys.map((key) => ({
    header: escapeText(key.toUpperCase()),
    ...(items.every((item) => typeof (item as Fields)[key] === 'number') ? { align: 'number' as const } : {}),
  }));
  const lines = renderTable(columns, rows);
  return lines.every((line) => line.length <= width) ? lines : undefined;
}

function itemLines(items: readonly unknown[], width: number, depth: number): string[] {
  return items.flatMap((item) => {
    const text = isScalar(item) ? inline(item) : undefined;
    const lines = text === undefined ? renderValue(item, width - 2, depth + 1) : [text];
    return lines.map((line, at) => (at === 0 ? `- ${line}` : `  ${line}`));
  });
}

/**
 * A JSON value as lines for people: one field a line, nested objects indented, arrays of uniform objects as tables. All text
 * is escaped for a terminal; `width` only decides between a table and a list.
 */
export function renderValue(value: unknown, width: number, depth = 0): string[] {
  if (isScalar(value)) return scalarLines(value);
  const joined = inline(value);
  if (joined !== undefined) return [joined];
  if (depth >= DEPTH_MAX) return [`(more than ${DEPTH_MAX} levels deep: see --output json)`];
  if (Array.isArray(value)) return tableLines(value, width) ?? itemLines(value, width, depth);
  return fieldLines(value as Fields, width, depth);
}
