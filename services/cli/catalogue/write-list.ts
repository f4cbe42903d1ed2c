import type { Io } from '../io.js';
import type { OutputFormat } from '../output-format.js';
import { escapeJson } from '../render/escape-text.js';

/** How the items of a list are written. */
export interface ListForm<T> {
  /** Name of the array in the JSON document. */
  readonly key: string;
  /** What to tell a person about an empty list. */
  readonly none: string;
  json(item: T): unknown;
  table(items: readonly T[]): readonly string[];
}

/** Writes a list: as a table for people, as one JSON document, or as one item a line. The machine forms stream. */
export async function writeList<T>(
  { stdout, stderr }: Pick<Io, 'stdout' | 'stderr'>,
  format: OutputFormat,
  items: AsyncIterable<T>,
  form: ListForm<T>,
): Promise<void> {
  const encode = (item: T) => escapeJson(JSON.stringify(form.json(item)));
  if (format === 'pretty') {
    const all: T[] = [];
    for await (const item of items) all.push(item);
    const lines = all.length === 0 ? [] : form.table(all);
    await stdout.write(lines.map((line) => `${line}\n`).join(''));
    if (all.length === 0) await stderr.write(`${form.none}\n`);
    return;
  }
  let separator = `{${JSON.stringify(form.key)}:[\n`;
  const opening = separator;
  for await (const item of items) {
    if (stdout.closed.aborted) return;
    await stdout.write(format === 'json' ? separator + encode(item) : `${encode(item)}\n`);
    separator = ',\n';
  }
  if (format === 'json') await stdout.write(separator === opening ? `${opening}]}\n` : '\n]}\n');
}
