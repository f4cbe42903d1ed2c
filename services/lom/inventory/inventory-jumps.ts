import { quoted } from '../../shared/fault.js';
import type { Node } from '../../shared/gen/rune/v1/run.js';
import { didYouMean } from '../../shared/suggest.js';
import type { FileFaults } from '../../shared/files/file-faults.js';
import type { Entries, NodeEntry } from './inventory-entries.js';
import { isOverSsh } from './is-over-ssh.js';

/** A node whose way is not resolved yet: `jump` is what it or its groups say. */
export interface UnroutedNode {
  readonly node: Node;
  readonly entry: NodeEntry;
}

const HOPS_MAX = 8;

/**
 * The nodes with the whole way to each: what its `jump` names, behind the way to the first of them. What leads nowhere or in a
 * circle goes to `faults`.
 */
export function routeNodes(unrouted: readonly UnroutedNode[], entries: Entries, faults: FileFaults): Node[] {
  const byName = new Map(unrouted.map((each) => [each.node.name, each]));

  const complain = ({ entry }: UnroutedNode, reason: string, description: string): void =>
    faults.add(entry.source, [...entry.path, 'jump'], reason, description);

  /** Undefined after a fault, or where an entry on the way has one that is told already. */
  const wayTo = (each: UnroutedNode, from: readonly string[]): readonly string[] | undefined => {
    const { node } = each;
    const named = jumpsOf(each);
    const [first] = named;
    if (first === undefined) return [];
    for (const name of named) {
      const hop = byName.get(name);
      if (hop === undefined) {
        if (entries.isComplete && !entries.nodes.has(name)) {
          const hint = didYouMean(name, entries.nodes.keys());
          complain(each, 'UNKNOWN', `names the node ${quoted(name)}, which is not defined${hint}`);
        }
        return undefined;
      }
      if (!hop.node.transports.some(isOverSsh)) {
        complain(each, 'TRANSPORT', `names the node ${quoted(name)}, which is not reached by ssh`);
        return undefined;
      }
    }
    const circle = [...from, node.name];
    if (named.some((name) => circle.includes(name)) || new Set(named).size < named.length) {
      complain(each, 'CIRCLE', `leads in a circle: ${[...circle, ...named].map(quoted).join(', ')}`);
      return undefined;
    }
    const before = wayTo(byName.get(first) as UnroutedNode, circle);
    if (before === undefined) return undefined;
    const way = [...before, ...named];
    if (way.length <= HOPS_MAX) return way;
    complain(each, 'TOO_MANY', `leads through ${way.length} nodes: at most ${HOPS_MAX} are possible`);
    return undefined;
  };

  return unrouted.flatMap((each) => {
    const way = each.node.transports.some(isOverSsh) ? wayTo(each, []) : [];
    return way === undefined ? [] : [{ ...each.node, jump: [...way] }];
  });
}

/** What a group says to all its nodes holds for a node that is part of the way only as far as that node. */
function jumpsOf({ node, entry }: UnroutedNode): readonly string[] {
  if (entry.settings.jump !== undefined) return node.jump;
  const own = node.jump.indexOf(node.name);
  return own === -1 ? node.jump : node.jump.slice(0, own);
}
