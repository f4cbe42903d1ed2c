import { RuneError } from '../../shared/errors.js';
import { FAULTS_LISTED_MAX, quoted } from '../../shared/fault.js';
import type { ValidationError } from '../../shared/gen/rune/v1/eps.js';
import type { Targets } from '../../shared/gen/rune/v1/lom.js';
import type { Node } from '../../shared/gen/rune/v1/run.js';
import { didYouMean } from '../../shared/suggest.js';
import type { Inventory } from './inventory.js';

const NAMES_MAX = 10_000;

/**
 * The nodes that a request means, each once, sorted by name: what nodes, groups and labels select together, without what
 * exclude names. Throws FIELD_MISSING if nothing is selected at all, NODE_NOT_FOUND or GROUP_NOT_FOUND for unknown names, and
 * NO_NODES_MATCHED unless an empty match was allowed.
 */
export function resolveTargets(targets: Targets | undefined, inventory: Inventory): Node[] {
  if (targets === undefined || isEmpty(targets)) {
    throw new RuneError('FIELD_MISSING', 'The request selects no nodes: name nodes, groups or labels.', {
      field: 'targets',
    });
  }
  const named = targets.nodes.length + targets.groups.length + targets.exclude.length;
  if (named > NAMES_MAX) {
    throw new RuneError('FIELD_OUT_OF_RANGE', `The request names ${named} targets.`, {
      field: 'targets',
      originalValue: String(named),
      expectedFormat: `at most ${NAMES_MAX} names`,
    });
  }
  refuseUnknown(targets, inventory);

  const excluded = excludedNames(new Set(targets.exclude), inventory);
  const selected = new Map<string, Node>();
  const select = (node: Node): void => {
    if (!excluded.has(node.name)) selected.set(node.name, node);
  };
  for (const name of targets.nodes) select(inventory.get(name));
  for (const name of new Set(targets.groups)) inventory.groups.get(name)?.forEach(select);
  const wanted = Object.entries(targets.labels);
  if (wanted.length > 0) inventory.nodes.filter((node) => hasLabels(node, wanted)).forEach(select);

  if (selected.size === 0 && !targets.allowEmpty) {
    throw new RuneError('NO_NODES_MATCHED', 'The targets of the request match no node.', {
      field: 'targets',
    });
  }
  return [...selected.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

const isEmpty = ({ nodes, groups, labels }: Targets): boolean =>
  nodes.length === 0 && groups.length === 0 && Object.keys(labels).length === 0;

function hasLabels(node: Node, wanted: readonly [string, string][]): boolean {
  return wanted.every(([key, value]) => Object.hasOwn(node.labels, key) && node.labels[key] === value);
}

/** Names of the nodes that these names of nodes and groups stand for; the two never share one. */
function excludedNames(names: ReadonlySet<string>, { groups }: Inventory): Set<string> {
  const excluded = new Set<string>();
  for (const name of names) {
    const group = groups.get(name);
    if (group === undefined) excluded.add(name);
    else group.forEach((node) => excluded.add(node.name));
  }
  return excluded;
}

function refuseUnknown({ nodes, groups, exclude }: Targets, inventory: Inventory): void {
  const isNode = (name: string): boolean => inventory.find(name) !== undefined;
  const isGroup = (name: string): boolean => inventory.groups.has(name);
  const nodeNames = (): string[] => inventory.nodes.map((node) => node.name);
  const groupNames = (): string[] => [...inventory.groups.keys()];
  refuse('NODE_NOT_FOUND', 'node', 'targets.nodes', nodes, isNode, nodeNames);
  refuse('GROUP_NOT_FOUND', 'group', 'targets.groups', groups, isGroup, groupNames);
  const isEither = (name: string): boolean => isNode(name) || isGroup(name);
  const names = (): string[] => [...nodeNames(), ...groupNames()];
  refuse('NODE_NOT_FOUND', 'node or group', 'targets.exclude', exclude, isEither, names);
}

function refuse(
  error: 'NODE_NOT_FOUND' | 'GROUP_NOT_FOUND',
  kind: string,
  field: string,
  names: readonly string[],
  isKnown: (name: string) => boolean,
  known: () => readonly string[],
): void {
  if (names.every(isKnown)) return;
  const unknown = [...names.entries()].filter(([, name]) => !isKnown(name));
  const [first] = unknown;
  if (first === undefined) return;
  const validationErrors: ValidationError[] = unknown.slice(0, FAULTS_LISTED_MAX).map(([index, name]) => ({
    field: `${field}[${index}]`,
    description: `${quoted(name)} is not in the inventory`,
    reason: error,
  }));
  const more = unknown.length > 1 ? `, nor ${unknown.length - 1} more of the request` : '';
  const hint = didYouMean(first[1], known()) || '.';
  throw new RuneError(error, `The inventory has no ${kind} ${quoted(first[1])}${more}${hint}`, {
    field,
    validationErrors,
  });
}
