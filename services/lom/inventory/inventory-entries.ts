import type { FaultPath } from '../../shared/fault.js';
import { fieldName } from '../../shared/fault.js';
import type { SchemaCompiler, Validator } from '../../shared/schema/schema.js';
import type { FileFaults } from '../../shared/files/file-faults.js';
import type { TextRule } from './inventory-rules.js';
import {
  ADDRESS_RULE,
  FINGERPRINT_RULE,
  INSTANCE_ID_RULE,
  LABEL_KEY_RULE,
  LABEL_VALUE_RULE,
  NAME_RULE,
  REGION_RULE,
  ROLE_ARN_RULE,
  USER_RULE,
  WORD_RULE,
} from './inventory-rules.js';
import { GROUP_SCHEMA, INVENTORY_SCHEMA, NODE_SCHEMA } from './inventory-schema.js';
import type { YamlSource } from '../../shared/files/yaml-source.js';

/** Values of the configuration of actions, by action. */
export type Configurations = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** How a node is reached: its own settings, or what a group gives to its nodes. */
export interface ConnectionSettings {
  readonly user?: string;
  readonly port?: number;
  readonly credential?: string;
  readonly zone?: string;
  readonly transports?: readonly string[];
  readonly weak_algorithms?: boolean;
  /** Names of nodes to go through, the one nearest to the mediator first. */
  readonly jump?: readonly string[];
  readonly run_as?: string;
  readonly become?: string;
  /** The region and the role by which Systems Manager reaches it. */
  readonly region?: string;
  readonly role_arn?: string;
}

/** A node as a file gives it. */
export interface NodeSettings extends ConnectionSettings {
  readonly address?: string;
  readonly lock_key?: string;
  readonly instance_id?: string;
  readonly host_key_fingerprints?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly vars?: Readonly<Record<string, unknown>>;
  readonly configuration?: Configurations;
  readonly groups?: readonly string[];
  readonly maintenance?: boolean;
}

/** A group as a file gives it. */
export interface GroupSettings {
  readonly nodes?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly vars?: Readonly<Record<string, unknown>>;
  readonly configuration?: Configurations;
  readonly defaults?: ConnectionSettings;
}

/** Something named in an inventory, and where it stands. An unsound entry has faults, and only its memberships can be used. */
interface Entry<Settings> {
  readonly name: string;
  readonly source: YamlSource;
  readonly path: FaultPath;
  readonly settings: Settings;
  readonly isSound: boolean;
}

/** A node as a file gives it, and where. */
export type NodeEntry = Entry<NodeSettings>;

/** A group as a file gives it, and where. */
export type GroupEntry = Entry<GroupSettings>;

/** All nodes and groups of some files, by name. */
export interface Entries {
  readonly nodes: ReadonlyMap<string, NodeEntry>;
  readonly groups: ReadonlyMap<string, GroupEntry>;
  /** Whether every file was read to its end: otherwise what is not here may be defined all the same. */
  readonly isComplete: boolean;
}

/** `transport: ssh` is short for `transports: [ssh]`; it is gone once an entry was read. */
type WithShorthand<Settings> = Settings & { readonly transport?: string };

type Place = Omit<Entry<unknown>, 'settings' | 'isSound'>;
type AddFault = (at: FaultPath, reason: string, description: string) => void;

/** Reads the nodes and groups of these files and checks each of them by itself. What is wrong goes to `faults`. */
export function readEntries(
  sources: readonly YamlSource[],
  schemas: SchemaCompiler,
  faults: FileFaults,
): Entries {
  const compile = (schema: object): Validator => schemas.compile(JSON.stringify(schema), '');
  const fileShape = compile(INVENTORY_SCHEMA);
  const shapes = { nodes: compile(NODE_SCHEMA), groups: compile(GROUP_SCHEMA) };
  const nodes = new Map<string, NodeEntry>();
  const groups = new Map<string, GroupEntry>();
  const taken = new Map<string, Place>();
  const before = faults.count;

  const isSound = (
    place: Place,
    kind: 'nodes' | 'groups',
    value: object,
    checkDetails: (add: AddFault) => void,
  ): boolean => {
    const before = faults.count;
    const add: AddFault = (at, reason, description) => {
      faults.add(place.source, [...place.path, ...at], reason, description);
    };
    for (const { path, reason, description } of shapes[kind].faults(value)) add(path, reason, description);
    checkDetails(add);
    return faults.count === before;
  };

  const found = sources.flatMap((source) =>
    namedParts(source, fileShape, faults).map((part) => [source, ...part] as const),
  );
  const isComplete = faults.count === before;
  for (const [source, kind, name, value] of found) {
    const place = { name, source, path: [kind, name] };
    if (!claimName(place, taken, faults)) continue;
    if (kind === 'nodes') {
      const raw: WithShorthand<NodeSettings> = mapOf(value);
      if (isSound(place, kind, value, (add) => checkNode(raw, add))) {
        nodes.set(name, { ...place, settings: withTransports(raw), isSound: true });
      } else nodes.set(name, { ...place, settings: { groups: texts(raw.groups) }, isSound: false });
    } else {
      const raw: GroupSettings = mapOf(value);
      if (isSound(place, kind, value, (add) => checkGroup(raw, add))) {
        const settings =
          raw.defaults === undefined ? raw : { ...raw, defaults: withTransports(raw.defaults) };
        groups.set(name, { ...place, settings, isSound: true });
      } else groups.set(name, { ...place, settings: { nodes: texts(raw.nodes) }, isSound: false });
    }
  }
  return { nodes, groups, isComplete };
}

/** The nodes and groups of one file, as far as its shape can be read. */
function namedParts(
  source: YamlSource,
  shape: Validator,
  faults: FileFaults,
): ['nodes' | 'groups', string, object][] {
  if (!faults.addYaml(source)) return [];
  // An empty file is an empty inventory.
  const content = source.value ?? {};
  for (const { path, reason, description } of shape.faults(content))
    faults.add(source, path, reason, description);
  const parts = mapOf(content);
  return (['nodes', 'groups'] as const).flatMap((kind) =>
    Object.entries(mapOf(parts[kind])).map(([name, value]): ['nodes' | 'groups', string, object] => [
      kind,
      name,
      value ?? {},
    ]),
  );
}

/** Nodes and groups share their names, in any letter case: an exclusion must not depend on which one was meant. */
function claimName(place: Place, taken: Map<string, Place>, faults: FileFaults): boolean {
  const { name, source, path } = place;
  if (!NAME_RULE.isMet(name)) {
    faults.add(source, path, 'NAME', NAME_RULE.description);
    return false;
  }
  const other = taken.get(name.toLowerCase());
  if (other !== undefined) {
    const where = `${other.source.file}:${other.source.lineOf(other.path)}`;
    faults.add(
      source,
      path,
      'DUPLICATE',
      `has the name of ${fieldName('', other.path).slice(1)} in ${where}`,
    );
    return false;
  }
  taken.set(name.toLowerCase(), place);
  return true;
}

// These look at entries whose shape may be wrong, so that all faults of an entry are told together.

function checkNode(node: WithShorthand<NodeSettings>, add: AddFault): void {
  checkConnection(node, [], add);
  checkLabels(node.labels, add);
  check(ADDRESS_RULE, node.address, ['address'], add);
  check(WORD_RULE, node.lock_key, ['lock_key'], add);
  check(INSTANCE_ID_RULE, node.instance_id, ['instance_id'], add);
  for (const [index, fingerprint] of listOf(node.host_key_fingerprints).entries()) {
    check(FINGERPRINT_RULE, fingerprint, ['host_key_fingerprints', index], add);
  }
}

function checkGroup(group: GroupSettings, add: AddFault): void {
  checkConnection(mapOf(group.defaults), ['defaults'], add);
  checkLabels(group.labels, add);
}

function checkConnection(settings: WithShorthand<ConnectionSettings>, at: FaultPath, add: AddFault): void {
  const { user, run_as, credential, zone, transport, transports, region, role_arn } = settings;
  check(USER_RULE, user, [...at, 'user'], add);
  check(USER_RULE, run_as, [...at, 'run_as'], add);
  check(WORD_RULE, credential, [...at, 'credential'], add);
  check(WORD_RULE, zone, [...at, 'zone'], add);
  check(REGION_RULE, region, [...at, 'region'], add);
  check(ROLE_ARN_RULE, role_arn, [...at, 'role_arn'], add);
  if (transport !== undefined && transports !== undefined) {
    add([...at, 'transport'], 'CONFLICT', 'is given together with transports: keep one of them');
  }
}

function checkLabels(labels: unknown, add: AddFault): void {
  for (const [key, value] of Object.entries(mapOf(labels))) {
    check(LABEL_KEY_RULE, key, ['labels', key], add);
    check(LABEL_VALUE_RULE, value, ['labels', key], add);
  }
}

/** A value of another type breaks the shape, which is told elsewhere. */
function check(rule: TextRule, value: unknown, at: FaultPath, add: AddFault): void {
  if (typeof value === 'string' && !rule.isMet(value)) add(at, rule.reason, rule.description);
}

function mapOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function withTransports<Settings extends ConnectionSettings>(raw: WithShorthand<Settings>): Settings {
  const { transport, ...settings } = raw;
  return (transport === undefined ? settings : { ...settings, transports: [transport] }) as Settings;
}

function texts(list: unknown): string[] {
  return listOf(list).filter((item) => typeof item === 'string');
}
