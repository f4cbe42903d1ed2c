import { isDeepStrictEqual } from 'node:util';
import type { AnsibleGroup, AnsibleInventory, AnsibleVars } from './ansible-inventory.js';
import { VAULTED } from './ansible-inventory.js';

/** An inventory of ours, as data. */
export interface ConvertedInventory {
  readonly document: {
    readonly nodes: Readonly<Record<string, Entry>>;
    readonly groups?: Readonly<Record<string, GroupEntry>>;
  };
  /** Key files that the inventory named, by the name that their credential got. */
  readonly credentials: ReadonlyMap<string, string>;
  /** What could not be taken over, one sentence each. */
  readonly warnings: readonly string[];
}

type Entry = Record<string, unknown>;
interface GroupEntry {
  readonly nodes: readonly string[];
  readonly defaults?: Entry;
  readonly vars?: Entry;
}

/** A part of an entry: what stands at `key`, or at `vars` and `key`. */
interface Part {
  readonly key: string;
  readonly isVar: boolean;
  readonly value: unknown;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$/;
const USER = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,31}$/;
const SSH = new Set(['ssh', 'smart', 'paramiko', 'paramiko_ssh', 'ansible.builtin.ssh']);
const LOCAL = new Set(['local', 'ansible.builtin.local']);
const BECOME = new Set(['sudo', 'doas', 'ansible.builtin.sudo', 'community.general.doas']);
const SECRET = /pass(word|phrase)?$|_token$|_secret$/i;
/** What stands for the whole inventory in Ansible. */
const EVERYTHING = new Set(['all', 'ungrouped']);
const EXAMPLES_MAX = 5;

/**
 * Converts an inventory of Ansible. Variables are inherited as Ansible does it (all, parents, children, the host itself); what a
 * group gives to all its hosts stays with the group, anything else goes to the node.
 */
export function convertAnsible(inventory: AnsibleInventory): ConvertedInventory {
  const notes = createNotes(inventory.warnings);
  const credentials = new Map<string, string>();
  const members = membersOf(inventory);
  const order = groupOrder(inventory);
  const names = hostNames(inventory, notes);

  const own = new Map<string, Map<string, Part>>();
  const nodes = new Map<string, Entry>();
  for (const name of names) {
    const vars: AnsibleVars = {};
    for (const group of order) {
      if (members.get(group)?.has(name) === true) Object.assign(vars, inventory.groups.get(group)?.vars);
    }
    Object.assign(vars, inventory.hosts.get(name));
    const parts = partsOf(name, vars, credentials, notes);
    if (parts !== undefined) own.set(name, new Map(parts.map((part) => [idOf(part), part])));
  }

  const groups = new Map<string, GroupEntry>();
  const covered = new Map<string, Set<string>>();
  for (const name of order) {
    const nodesOfGroup = [...(members.get(name) ?? [])].filter((node) => own.has(node));
    const vars = inventory.groups.get(name)?.vars ?? {};
    const isAll = EVERYTHING.has(name);
    if (nodesOfGroup.length === 0 || (isAll && (name !== 'all' || Object.keys(vars).length === 0))) continue;
    if (!NAME.test(name)) {
      notes.add('these groups were left out, since their names are not possible', name);
      continue;
    }
    const taken = new Set([...names, ...groups.keys()].map((one) => one.toLowerCase()));
    const called = taken.has(name.toLowerCase()) ? `${name}-group` : name;
    if (called !== name)
      notes.add('these groups are called NAME-group, since something else has their name', name);
    const shared = (partsOf(undefined, vars, credentials, notes) ?? []).filter((part) =>
      nodesOfGroup.every((node) => isDeepStrictEqual(own.get(node)?.get(idOf(part))?.value, part.value)),
    );
    for (const node of nodesOfGroup) {
      const ids = covered.get(node) ?? new Set<string>();
      for (const part of shared) ids.add(idOf(part));
      covered.set(node, ids);
    }
    if (name === 'all' && shared.length === 0) continue;
    const { vars: groupVars, ...defaults } = entryOf(shared) as { vars?: Entry };
    groups.set(called, {
      nodes: nodesOfGroup,
      ...(Object.keys(defaults).length === 0 ? {} : { defaults }),
      ...(groupVars === undefined ? {} : { vars: groupVars }),
    });
  }
  for (const [name, parts] of own) {
    nodes.set(
      name,
      entryOf([...parts.values()].filter((part) => covered.get(name)?.has(idOf(part)) !== true)),
    );
  }
  return {
    document: {
      nodes: Object.fromEntries(nodes),
      ...(groups.size === 0 ? {} : { groups: Object.fromEntries(groups) }),
    },
    credentials,
    warnings: notes.sentences(),
  };
}

const idOf = ({ key, isVar }: Part): string => `${isVar ? 'vars.' : ''}${key}`;

function entryOf(parts: readonly Part[]): Entry {
  const entry: Entry = {};
  const vars: Entry = {};
  for (const { key, isVar, value } of parts) (isVar ? vars : entry)[key] = value;
  return Object.keys(vars).length === 0 ? entry : { ...entry, vars };
}

/** Names that ours can have; two that differ by case only are one too many. */
function hostNames({ hosts }: AnsibleInventory, notes: Notes): string[] {
  const seen = new Set<string>();
  return [...hosts.keys()].filter((name) => {
    if (!NAME.test(name)) notes.add('these hosts were left out, since their names are not possible', name);
    else if (seen.has(name.toLowerCase()))
      notes.add('these hosts were left out, since another one differs by letter case only', name);
    else return seen.add(name.toLowerCase());
    return false;
  });
}

/** The hosts of each group, those of its children with it. */
function membersOf({ groups, hosts }: AnsibleInventory): Map<string, Set<string>> {
  const members = new Map<string, Set<string>>();
  const collect = (name: string, into: Set<string>, path: Set<string>): void => {
    if (path.has(name)) return;
    path.add(name);
    const group = groups.get(name);
    for (const host of group?.hosts ?? []) into.add(host);
    for (const child of group?.children ?? []) collect(child, into, path);
  };
  for (const name of groups.keys()) {
    const all = new Set<string>();
    collect(name, all, new Set());
    members.set(name, all);
  }
  members.set('all', new Set(hosts.keys()));
  return members;
}

/** Groups in the order in which their variables count: the later ones win. */
function groupOrder({ groups }: AnsibleInventory): string[] {
  const depths = new Map<string, number>(
    [...groups.keys()].map((name) => [name, EVERYTHING.has(name) ? 0 : 1]),
  );
  // A circle, which Ansible refuses, ends with the number of groups.
  for (let round = 0; round < groups.size; round += 1) {
    let isChanged = false;
    for (const [name, { children }] of groups) {
      for (const child of children) {
        const depth = (depths.get(name) ?? 0) + 1;
        if (depth <= (depths.get(child) ?? 0) || EVERYTHING.has(child)) continue;
        depths.set(child, depth);
        isChanged = true;
      }
    }
    if (!isChanged) break;
  }
  const priority = ({ vars }: AnsibleGroup): number => Number(vars['ansible_group_priority'] ?? 1);
  return [...groups]
    .toSorted(
      ([a, one], [b, other]) =>
        (depths.get(a) ?? 0) - (depths.get(b) ?? 0) ||
        priority(one) - priority(other) ||
        (a < b ? -1 : a > b ? 1 : 0),
    )
    .map(([name]) => name);
}

/** What variables come to; undefined for a host that is not reached by SSH or the local transport. */
function partsOf(
  host: string | undefined,
  vars: AnsibleVars,
  credentials: Map<string, string>,
  notes: Notes,
): Part[] | undefined {
  // What groups say is told once, with the hosts that get it.
  const note = (what: string, example: string): void => {
    if (host !== undefined) notes.add(what, example);
  };
  const parts: Part[] = [];
  const put = (key: string, value: unknown): void => void parts.push({ key, isVar: false, value });
  const usable: AnsibleVars = {};
  for (const [key, value] of Object.entries(vars)) {
    if (SECRET.test(key) || hasVaulted(value)) note('these hold secrets and were left out', key);
    else if (JSON.stringify(value)?.includes('{{'))
      note('these are templates, which only Ansible can fill in, and were left out', key);
    else usable[key] = value;
  }
  const known = new Set<string>();
  const first = (...keys: string[]): string | undefined => {
    for (const key of keys) known.add(key);
    const found = keys.map((key) => usable[key]).find((value) => value !== undefined && value !== null);
    return found === undefined || typeof found === 'string' ? found : JSON.stringify(found);
  };

  const connection = first('ansible_connection') ?? 'ssh';
  if (LOCAL.has(connection)) put('transport', 'local');
  else if (!SSH.has(connection)) {
    note('these hosts were left out, since they are not reached by ssh', `${host ?? ''} (${connection})`);
    if (host !== undefined) return undefined;
  }
  const address = first('ansible_host', 'ansible_ssh_host');
  if (address !== undefined && host !== undefined) put('address', address);
  const port = first('ansible_port', 'ansible_ssh_port');
  if (port !== undefined && /^[1-9]\d{0,4}$/.test(port)) put('port', Number(port));
  else if (port !== undefined) note('these ports are not possible and were left out', port);
  const user = first('ansible_user', 'ansible_ssh_user');
  if (user !== undefined && USER.test(user)) put('user', user);
  else if (user !== undefined) note('these users are not possible and were left out', user);
  const key = first('ansible_ssh_private_key_file', 'ansible_private_key_file');
  if (key !== undefined) put('credential', credentialOf(key, credentials));
  const method = first('ansible_become_method') ?? 'sudo';
  const runAs = first('ansible_become_user') ?? 'root';
  const becomes = isTrue(first('ansible_become'));
  if (becomes && !BECOME.has(method))
    note('these ways to become another user are not possible and were left out', method);
  else if (becomes) {
    put('run_as', runAs);
    if (method.endsWith('doas')) put('become', 'doas');
  }
  for (const [name, value] of Object.entries(usable)) {
    if (known.has(name) || name === 'ansible_group_priority') continue;
    if (name.startsWith('ansible_')) {
      const isWay = /_args$|_extra_args$/.test(name) && /ProxyJump|ProxyCommand|-J/.test(String(value));
      if (isWay) note('these lead through other hosts: write them as `jump`', name);
      else note('these mean nothing here and were left out', name);
    } else parts.push({ key: name, isVar: true, value });
  }
  return parts;
}

function isTrue(text = ''): boolean {
  return /^(true|yes|on|1)$/i.test(text);
}

function hasVaulted(value: unknown): boolean {
  if (value === VAULTED) return true;
  return typeof value === 'object' && value !== null && Object.values(value).some(hasVaulted);
}

/** A credential is named like its key file: "~/.ssh/deploy.pem" is "deploy". Two files of one name get numbers. */
function credentialOf(file: string, credentials: Map<string, string>): string {
  for (const [name, known] of credentials) if (known === file) return name;
  const base = (file.split('/').at(-1) ?? '').replace(/\.(pem|key)$/, '').replaceAll(/[^A-Za-z0-9._-]/g, '-');
  const wanted = NAME.test(base) ? base.slice(0, 60) : 'key';
  let name = wanted;
  for (let number = 2; credentials.has(name); number += 1) name = `${wanted}-${number}`;
  credentials.set(name, file);
  return name;
}

interface Notes {
  add(what: string, example: string): void;
  sentences(): string[];
}

/** Collects by kind, so that ten thousand hosts make a few lines. */
function createNotes(first: readonly string[]): Notes {
  const kinds = new Map<string, Set<string>>();
  return {
    add(what, example) {
      const examples = kinds.get(what) ?? new Set<string>();
      examples.add(example);
      kinds.set(what, examples);
    },
    sentences: () => [
      ...first,
      ...[...kinds].map(([what, examples]) => {
        const shown = [...examples].slice(0, EXAMPLES_MAX).join(', ');
        const more = examples.size > EXAMPLES_MAX ? ` and ${examples.size - EXAMPLES_MAX} more` : '';
        return `${what.charAt(0).toUpperCase()}${what.slice(1)}: ${shown}${more}.`;
      }),
    ],
  };
}
