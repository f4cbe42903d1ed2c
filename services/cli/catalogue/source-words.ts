import type { InventorySource } from '../../shared/gen/rune/v1/lom.js';
import { escapeText } from '../render/escape-text.js';
import { formatDuration } from '../render/format-duration.js';

/** Which source, and how old what is used of it is: "inventory.yaml, read 3 s ago". */
export function sourceAge({ name, readAt }: InventorySource, nowMs: number): string {
  const age =
    readAt === undefined ? '' : `, read ${formatDuration(Math.max(0, nowMs - readAt.getTime()))} ago`;
  return escapeText(`${name}${age}`);
}

/** One line for each source of which something newer cannot be used, and for each thing that else is to be known of one. */
export function sourceLines(sources: readonly InventorySource[], nowMs: number): string[] {
  return sources.flatMap((source) => {
    const { name, problem, notes } = source;
    const stale = `inventory: ${sourceAge(source, nowMs)}; since then: ${escapeText(problem)}`;
    const others = notes.map((note) => `inventory: ${escapeText(`${name}: ${note}`)}`);
    return problem === '' ? others : [stale, ...others];
  });
}
