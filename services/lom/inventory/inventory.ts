import { RuneError } from '../../shared/errors.js';
import type { FaultPath } from '../../shared/fault.js';
import { quoted } from '../../shared/fault.js';
import type { Node, RunAs, SsmAddress } from '../../shared/gen/rune/v1/run.js';
import { checkJsonBounds } from '../../shared/schema/json-bounds.js';
import type { SchemaCompiler } from '../../shared/schema/schema.js';
import { didYouMean } from '../../shared/suggest.js';
import type { FileFaults } from '../../shared/files/file-faults.js';
import type {
  Configurations,
  Entries,
  GroupEntry,
  GroupSettings,
  NodeEntry,
  NodeSettings,
} from './inventory-entries.js';
import { readEntries } from './inventory-entries.js';
import type { Inheritance } from './inventory-inheritance.js';
import { inheritance } from './inventory-inheritance.js';
import { routeNodes, type UnroutedNode } from './inventory-jumps.js';
import { isOverSsh } from './is-over-ssh.js';
import { endpointOf, lockKeyOf } from './lock-key.js';
import { ADDRESS_RULE, INSTANCE_ID_RULE } from './inventory-rules.js';
import type { YamlSource } from '../../shared/files/yaml-source.js';

/** The nodes that actions can run on. */
export interface Inventory {
  /** Sorted by name. */
  readonly nodes: readonly Node[];
  /** The nodes of each group, sorted by name. */
  readonly groups: ReadonlyMap<string, readonly Node[]>;
  /** What is allowed but looks like a mistake, one sentence each. */
  readonly warnings: readonly string[];
  /** Every configuration that a node or a group gives to an action, and where it stands. */
  readonly configurations: readonly ConfigurationEntry[];
  /** What node and groups give to an action as its configuration on a node; {} for nothing. */
  configurationOf(node: string, action: string): Readonly<Record<string, unknown>>;
  /** The file or source that defines the node; undefined if there is no such node. */
  sourceOf(node: string): string | undefined;
  /** The node of that name, if there is one. */
  find(name: string): Node | undefined;
  /** The node of that name. Throws NODE_NOT_FOUND. */
  get(name: string): Node;
}

/** Values for the configuration of an action, and where a file gives them. */
export interface ConfigurationEntry {
  readonly source: YamlSource;
  readonly path: FaultPath;
  readonly action: string;
  readonly values: Readonly<Record<string, unknown>>;
}

const NOTHING = {};
const VARS_BOUNDS = { depthMax: 16, bytesMax: 64 * 1024 };

/** Makes the inventory of these files. Faults go to `faults`; a node that has any may be missing. */
export function createInventory(
  sources: readonly YamlSource[],
  schemas: SchemaCompiler,
  faults: FileFaults,
): Inventory {
  const entries = readEntries(sources, schemas, faults);
  const memberships = joinGroups(entries, faults);
  const found: UnroutedNode[] = [];
  const configurations = new Map<string, Configurations>();
  for (const entry of entries.nodes.values()) {
    const names = memberships.get(entry.name);
    const groups = [...(names ?? [])].toSorted().flatMap((name) => entries.groups.get(name) ?? []);
    // What an unsound or unknown group would have given is unknown; to miss it here would only mislead.
    if (!entry.isSound || names === undefined || groups.some((group) => !group.isSound)) continue;
    const made = makeNode(entry, groups, faults);
    if (made === undefined) continue;
    found.push({ node: made.node, entry });
    if (Object.keys(made.configuration).length > 0) configurations.set(entry.name, made.configuration);
  }
  const nodes = routeNodes(found, entries, faults)
    .map((node) => ({ ...node, lockKey: lockKeyOf(node, entries.nodes.get(node.name)?.settings.lock_key) }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const groups = new Map([...entries.groups.keys()].toSorted().map((name): [string, Node[]] => [name, []]));
  for (const node of nodes) for (const name of node.groups) groups.get(name)?.push(node);

  return {
    nodes,
    groups,
    warnings: [...sharedAddresses(nodes), ...sharedLocks(nodes, entries)],
    configurations: [...entries.nodes.values(), ...entries.groups.values()].flatMap(configurationEntries),
    configurationOf(node, action) {
      const given = configurations.get(node);
      return (given !== undefined && Object.hasOwn(given, action) ? given[action] : undefined) ?? NOTHING;
    },
    sourceOf: (node) => (byName.has(node) ? entries.nodes.get(node)?.source.file : undefined),
    find: (name) => byName.get(name),
    get(name) {
      const node = byName.get(name);
      if (node !== undefined) return node;
      const near = didYouMean(name, byName.keys());
      throw new RuneError('NODE_NOT_FOUND', `The inventory has no node ${quoted(name)}${near || '.'}`, {
        field: 'name',
      });
    },
  };
}

/** The groups of each node, whichever side names the other; a node that names an unknown group has none to go by. */
function joinGroups({ nodes, groups, isComplete }: Entries, faults: FileFaults): Map<string, Set<string>> {
  const memberships = new Map<string, Set<string>>();
  for (const { name, source, path, settings } of nodes.values()) {
    const named = settings.groups ?? [];
    if (named.every((group) => groups.has(group))) memberships.set(name, new Set(named));
    for (const [index, group] of named.entries()) {
      if (isComplete && !groups.has(group))
        faults.add(source, [...path, 'groups', index], 'UNKNOWN', unknown('group', group, groups.keys()));
    }
  }
  for (const { name, source, path, settings } of groups.values()) {
    for (const [index, node] of (settings.nodes ?? []).entries()) {
      if (nodes.has(node)) memberships.get(node)?.add(name);
      else if (isComplete)
        faults.add(source, [...path, 'nodes', index], 'UNKNOWN', unknown('node', node, nodes.keys()));
    }
  }
  return memberships;
}

function unknown(kind: 'group' | 'node', name: string, names: Iterable<string>): string {
  return `names the ${kind} ${quoted(name)}, which is not defined${didYouMean(name, names)}`;
}

function configurationEntries({
  source,
  path,
  settings,
  isSound,
}: NodeEntry | GroupEntry): ConfigurationEntry[] {
  if (!isSound) return [];
  return Object.entries(settings.configuration ?? {}).map(([action, values]) => ({
    source,
    path: [...path, 'configuration', action],
    action,
    values,
  }));
}

function makeNode(
  entry: NodeEntry,
  groups: readonly GroupEntry[],
  faults: FileFaults,
): { node: Node; configuration: Configurations } | undefined {
  const before = faults.count;
  const { name, source, path, settings } = entry;
  const add = (at: FaultPath, reason: string, description: string): void => {
    faults.add(source, [...path, ...at], reason, description);
  };
  const inherit = inheritance(settings, groups, (key, first, second) => {
    add(
      [],
      'CONFLICT',
      `gets different values of ${key} from the groups ${first} and ${second}: set it on the node`,
    );
  });
  const transports = [...(inherit.setting('transports') ?? ['ssh'])];
  const usesSsh = transports.some(isOverSsh);
  const ssm = ssmAddressOf(name, settings, inherit, transports);
  const address = settings.address ?? (usesSsh ? name : (ssm?.instanceId ?? 'localhost'));
  const node: Node = {
    name,
    transports,
    address,
    port: inherit.setting('port') ?? 0,
    user: inherit.setting('user') ?? '',
    credential: inherit.setting('credential') ?? '',
    hostKeyFingerprints: [...(settings.host_key_fingerprints ?? [])],
    zone: inherit.setting('zone') ?? '',
    labels: inherit.merged('labels', (of) => of.labels),
    groups: groups.map((group) => group.name),
    vars: inherit.merged('vars', (of) => of.vars),
    maintenance: settings.maintenance ?? false,
    weakAlgorithms: inherit.setting('weak_algorithms') ?? false,
    jump: [...(inherit.setting('jump') ?? [])],
    runAs: runAsOf(inherit),
    lockKey: '',
    ssm,
  };
  for (const [field, value] of [
    ['instance_id', ssm?.instanceId],
    ['region', ssm?.region],
  ] as const) {
    if (value === '') add([field], 'REQUIRED', 'is required for the transport ssm');
  }
  if (settings.address === undefined && usesSsh && !ADDRESS_RULE.isMet(address)) {
    add(['address'], 'REQUIRED', 'is required: the name of this node cannot serve as its address');
  }
  for (const fault of checkJsonBounds(node.vars, VARS_BOUNDS)) {
    add(['vars', ...fault.path], fault.reason, fault.description);
  }
  const configuration = configurationOf([settings, ...groups.map((group) => group.settings)], inherit);
  for (const fault of checkJsonBounds(configuration, VARS_BOUNDS)) {
    add(['configuration', ...fault.path], fault.reason, fault.description);
  }
  return faults.count === before ? { node, configuration } : undefined;
}

/** Undefined without the transport ssm. What is missing is empty; a node may be named as its instance. */
function ssmAddressOf(
  name: string,
  settings: NodeSettings,
  inherit: Inheritance,
  transports: readonly string[],
): SsmAddress | undefined {
  if (!transports.includes('ssm')) return undefined;
  return {
    instanceId: settings.instance_id ?? (INSTANCE_ID_RULE.isMet(name) ? name : ''),
    region: inherit.setting('region') ?? '',
    roleArn: inherit.setting('role_arn') ?? '',
  };
}

/** Undefined if nothing is said about another user. */
function runAsOf(inherit: Inheritance): RunAs | undefined {
  const user = inherit.setting('run_as') ?? '';
  const become = inherit.setting('become') ?? '';
  return user === '' && become === '' ? undefined : { user, become };
}

/** What a node gives to each action by itself and through its groups. */
function configurationOf(
  givers: readonly (NodeSettings | GroupSettings)[],
  inherit: Inheritance,
): Configurations {
  const actions = new Set(givers.flatMap(({ configuration }) => Object.keys(configuration ?? {})));
  return Object.fromEntries(
    [...actions].map((action) => [
      action,
      inherit.merged(`configuration.${action}`, ({ configuration = {} }) =>
        Object.hasOwn(configuration, action) ? configuration[action] : undefined,
      ),
    ]),
  );
}

function grouped(nodes: readonly Node[], keyOf: (node: Node) => string): (readonly [string, Node[]])[] {
  const groups = new Map<string, Node[]>();
  for (const node of nodes) {
    const key = keyOf(node);
    const known = groups.get(key);
    if (known === undefined) groups.set(key, [node]);
    else known.push(node);
  }
  return [...groups].filter(([, sharing]) => sharing.length > 1);
}

function namesOf(nodes: readonly Node[]): string {
  const names = nodes.slice(0, 5).map(({ name }) => name);
  return `${names.join(', ')}${nodes.length > 5 ? ' and others' : ''}`;
}

/** Names of one machine with different locks: two mutating actions may meet there. */
function sharedAddresses(nodes: readonly Node[]): string[] {
  const overSsh = nodes.filter(({ transports }) => transports.some(isOverSsh));
  return grouped(overSsh, endpointOf)
    .filter(([, sharing]) => new Set(sharing.map(({ lockKey }) => lockKey)).size > 1)
    .map(
      ([address, sharing]) =>
        `The nodes ${namesOf(sharing)} share the address ${address} and not their lock: give them the same lock_key if they are one machine.`,
    );
}

/** Names that share a lock without anybody having said so. */
function sharedLocks(nodes: readonly Node[], { nodes: entries }: Entries): string[] {
  const unsaid = nodes.filter(({ name }) => entries.get(name)?.settings.lock_key === undefined);
  return grouped(unsaid, ({ lockKey }) => lockKey).map(
    ([key, sharing]) =>
      `The nodes ${namesOf(sharing)} share the lock ${key}: mutating actions run on one of them at a time. Give each its own lock_key if they are several machines, or the same one to say that they are not.`,
  );
}
