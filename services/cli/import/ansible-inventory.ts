/** Variables as an Ansible inventory gives them. */
export type AnsibleVars = Record<string, unknown>;

/** A group as it stands in the file. */
export interface AnsibleGroup {
  readonly hosts: Set<string>;
  readonly children: Set<string>;
  readonly vars: AnsibleVars;
}

/** What an inventory file of Ansible says, before anything is inherited. */
export interface AnsibleInventory {
  /** The hosts' own variables, by name. */
  readonly hosts: Map<string, AnsibleVars>;
  readonly groups: Map<string, AnsibleGroup>;
  /** What was met and is not read. */
  readonly warnings: string[];
}

/** Stands for a value that is encrypted with Ansible's vault. */
export const VAULTED: unique symbol = Symbol('vaulted');

/** An inventory without anything in it. */
export function emptyInventory(): AnsibleInventory {
  return { hosts: new Map(), groups: new Map(), warnings: [] };
}

/** The group of that name, made if it is not there yet. */
export function groupOf({ groups }: AnsibleInventory, name: string): AnsibleGroup {
  const known = groups.get(name);
  if (known !== undefined) return known;
  const group = { hosts: new Set<string>(), children: new Set<string>(), vars: {} };
  groups.set(name, group);
  return group;
}

/** Adds a host to a group; variables that are given again win. */
export function addHost(inventory: AnsibleInventory, group: string, name: string, vars: AnsibleVars): void {
  groupOf(inventory, group).hosts.add(name);
  inventory.hosts.set(name, { ...inventory.hosts.get(name), ...vars });
}
