import type { FaultPath } from '../shared/fault.js';
import { fieldName } from '../shared/fault.js';
import type { SchemaCompiler, Validator } from '../shared/schema.js';
import type { FileFaults } from './file-faults.js';
import type { TextRule } from './inventory-rules.js';
import {
  ADDRESS_RULE,
  FINGERPRINT_RULE,
  LABEL_KEY_RULE,
  LABEL_VALUE_RULE,
  NAME_RULE,
  USER_RULE,
  WORD_RULE,
} from './inventory-rules.js';
import { GROUP_SCHEMA, INVENTORY_SCHEMA, NODE_SCHEMA } from './inventory-schema.js';
import type { YamlSource } from './yaml-source.js';

/** How a node is reached: its own settings, or what a group gives to its nodes. */
export interface ConnectionSettings {
  readonly user?: string;
  readonly port?: number;
  readonly credential?: string;
  readonly zone?: string;
  readonly transports?: readonly string[];
}

/** A node as a file gives it. */
export interface NodeSettings extends ConnectionSettings {
  readonly address?: string;
  readonly host_key_fingerprints?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly vars?: Readonly<Record<string, unknown>>;
  readonly groups?: readonly string[];
  readonly maintenance?: boolean;
}

/** A group as a file gives it. */
export interface GroupSettings {
  readonly nodes?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly vars?: Readonly<Record<string, unknown>>;
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

  /** The faults of one entry; those of its shape keep its details from being looked at. */
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
    if (faults.count === before) checkDetails(add);
    return faults.count === before;
  };

  for (const source of sources) {
    for (const [kind, name, value] of namedParts(source, fileShape, faults)) {
      const place = { name, source, path: [kind, name] };
      if (!claimName(place, taken, faults)) continue;
      if (kind === 'nodes') {
        const raw = value as WithShorthand<NodeSettings>;
        if (isSound(place, kind, raw, (add) => checkNode(raw, add))) {
          nodes.set(name, { ...place, settings: withTransports(raw), isSound: true });
        } else nodes.set(name, { ...place, settings: { groups: texts(raw.groups) }, isSound: false });
      } else {
        const raw = value as GroupSettings;
        if (isSound(place, kind, raw, (add) => checkGroup(raw, add))) {
          const settings =
            raw.defaults === undefined ? raw : { ...raw, defaults: withTransports(raw.defaults) };
          groups.set(name, { ...place, settings, isSound: true });
        } else groups.set(name, { ...place, settings: { nodes: texts(raw.nodes) }, isSound: false });
      }
    }
  }
  return { nodes, groups };
}

function* namedParts(
  source: YamlSource,
  shape: Validator,
  faults: FileFaults,
): Generator<['nodes' | 'groups', string, object]> {
  if (!faults.addYaml(source)) return;
  // An empty file is an empty inventory.
  const content = source.value ?? {};
  const wrong = shape.faults(content);
  for (const { path, reason, description } of wrong) faults.add(source, path, reason, description);
  if (wrong.length > 0) return;
  const parts = content as { nodes?: Record<string, object | null>; groups?: Record<string, object | null> };
  for (const kind of ['nodes', 'groups'] as const) {
    for (const [name, value] of Object.entries(parts[kind] ?? {})) yield [kind, name, value ?? {}];
  }
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

function checkNode(node: WithShorthand<NodeSettings>, add: AddFault): void {
  checkConnection(node, [], add);
  checkLabels(node.labels, add);
  if (node.address !== undefined) check(ADDRESS_RULE, node.address, ['address'], add);
  for (const [index, fingerprint] of (node.host_key_fingerprints ?? []).entries()) {
    check(FINGERPRINT_RULE, fingerprint, ['host_key_fingerprints', index], add);
  }
}

function checkGroup(group: GroupSettings, add: AddFault): void {
  checkConnection(group.defaults ?? {}, ['defaults'], add);
  checkLabels(group.labels, add);
}

function checkConnection(settings: WithShorthand<ConnectionSettings>, at: FaultPath, add: AddFault): void {
  const { user, credential, zone, transport, transports } = settings;
  if (user !== undefined) check(USER_RULE, user, [...at, 'user'], add);
  if (credential !== undefined) check(WORD_RULE, credential, [...at, 'credential'], add);
  if (zone !== undefined) check(WORD_RULE, zone, [...at, 'zone'], add);
  if (transport !== undefined && transports !== undefined) {
    add([...at, 'transport'], 'CONFLICT', 'is given together with transports: keep one of them');
  }
}

function checkLabels(labels: Readonly<Record<string, string>> = {}, add: AddFault): void {
  for (const [key, value] of Object.entries(labels)) {
    check(LABEL_KEY_RULE, key, ['labels', key], add);
    check(LABEL_VALUE_RULE, value, ['labels', key], add);
  }
}

function check(rule: TextRule, text: string, at: FaultPath, add: AddFault): void {
  if (!rule.isMet(text)) add(at, rule.reason, rule.description);
}

function withTransports<Settings extends ConnectionSettings>(raw: WithShorthand<Settings>): Settings {
  const { transport, ...settings } = raw;
  return (transport === undefined ? settings : { ...settings, transports: [transport] }) as Settings;
}

function texts(list: unknown): string[] {
  return Array.isArray(list) ? list.filter((item) => typeof item === 'string') : [];
}
