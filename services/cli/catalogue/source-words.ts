import type { InventorySource } from '../../shared/gen/rune/v1/lom.js';
import { escapeText } from '../render/escape-text.js';
import { formatDuration } from '../render/format-duration.js';

/** Which source, and how old what is used of it is: "inventory.yaml, read 3 s ago". */
export function sourceAge({ name, readAt }: InventorySource, nowMs: number): string {
  const age =
    readAt === undefined ? '' : `, read ${formatDuration(Math.max(0, nowMs - readAt.getTime()))} ago`;
  return escapeText(`${name}${age}`);
}

/** One line for each source of which something newer cannot be used. */
export function staleSources(sources: readonly InventorySource[], nowMs: number): string[] {
  return sources
    .filter(({ problem }) => problem !== '')
    .map((source) => `inventory: ${sourceAge(source, nowMs)}; since then: ${escapeText(source.problem)}`);
}
