import { ERRORS, type ErrorName } from '../../shared/errors.js';
import type { EpsError } from '../../shared/gen/rune/v1/eps.js';
import { escapeText } from '../render/escape-text.js';
import type { Style } from '../render/style.js';

const NODES_SHOWN_MAX = 10;
const KINDS_MAX = 100;

interface Group {
  count: number;
  readonly nodes: string[];
  readonly recovery: readonly string[];
}

/** Failures of many nodes gathered by their name: how many, which nodes, what to do. */
export interface FailureGroups {
  /** `node` must be escaped. */
  add(error: EpsError, node: string, action: string): void;
  lines(style: Style): string[];
}

function recoveryOf(error: EpsError, action: string): readonly string[] {
  const name = error.errorData?.name ?? '';
  const actions = Object.hasOwn(ERRORS, name)
    ? ERRORS[name as ErrorName].recovery.map((text) =>
        text.replaceAll('{node}', 'the node').replaceAll('{action}', action),
      )
    : (error.errorContext?.recoveryActions ?? []);
  return actions.map(escapeText);
}

/** Groups of nothing; memory is bounded by the kinds of failure, not by the nodes. */
export function createFailureGroups(): FailureGroups {
  const groups = new Map<string, Group>();
  return {
    add(error, node, action) {
      const name = error.errorData?.name ?? 'INTERNAL';
      const key = groups.has(name) || groups.size < KINDS_MAX ? name : 'OTHERS';
      const group = groups.get(key) ?? { count: 0, nodes: [], recovery: recoveryOf(error, action) };
      group.count += 1;
      if (group.nodes.length < NODES_SHOWN_MAX) group.nodes.push(node);
      groups.set(key, group);
    },
    lines: (style) =>
      [...groups.entries()]
        .toSorted(([, a], [, b]) => b.count - a.count)
        .flatMap(([name, { count, nodes, recovery }]) => {
          const more = count - nodes.length;
          return [
            `${style.red(escapeText(name))}  ${count === 1 ? '1 node' : `${count} nodes`}: ${nodes.join(', ')}${more > 0 ? ` and ${more} more` : ''}`,
            ...recovery.map((text) => `  - ${text}`),
          ];
        }),
  };
}
