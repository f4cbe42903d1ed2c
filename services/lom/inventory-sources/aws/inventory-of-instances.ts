import { INSTANCE_ID_RULE, LABEL_VALUE_RULE, NAME_RULE } from '../../inventory/inventory-rules.js';
import { isOverSsh } from '../../inventory/is-over-ssh.js';
import type { AwsSource } from './aws-config.js';
import type { FoundInstance } from './found-instance.js';
import { createInstanceNotes, type InstanceNotes } from './instance-notes.js';
import { fillTemplate } from './template.js';

/** Nodes as an inventory file holds them, and what is to be known of them, one sentence each. */
export interface FoundInventory {
  readonly nodes: Readonly<Record<string, object>>;
  readonly notes: readonly string[];
}

const LABEL_VALUE_CHARS_MAX = 256;

/**
 * The inventory of these instances, the same for the same instances in any order. What a tag says is used where it is a good name and
 * belongs to one instance alone; else the instance is named by its id, so that no tag can take another node's place.
 */
export function inventoryOfInstances(found: readonly FoundInstance[], source: AwsSource): FoundInventory {
  const notes = createInstanceNotes();
  const byId = new Map(found.map((instance) => [instance.id, instance]));
  const instances = [...byId.values()].filter(({ id }) => INSTANCE_ID_RULE.isMet(id)).toSorted(byIdOrder);
  const named = nameInstances(instances, source, notes);
  const spellings = new Map([...named.keys()].map((name) => [name.toLowerCase(), '']));
  const nodes = [...named].flatMap(([name, instance]): [string, object][] => {
    const address = source.address === 'public' ? instance.publicAddress : instance.privateAddress;
    const usesSsh = source.transports.some(isOverSsh);
    if (usesSsh && address === undefined) {
      notes.add(`left out, since they have no ${source.address} address`, instance.id);
      return [];
    }
    const node = {
      // Private addresses are those of one network only: what tells machines apart is their id.
      ...(usesSsh ? { address, lock_key: instance.id } : {}),
      instance_id: instance.id,
      region: source.region,
      transports: source.transports,
      groups: groupsOf(instance, source, spellings, notes),
      labels: labelsOf(instance, source, notes),
    };
    return [[name, node]];
  });
  return { nodes: Object.fromEntries(nodes), notes: notes.list() };
}

const byIdOrder = (a: FoundInstance, b: FoundInstance): number => (a.id < b.id ? -1 : 1);

function nameInstances(
  instances: readonly FoundInstance[],
  { name }: AwsSource,
  notes: InstanceNotes,
): Map<string, FoundInstance> {
  const wanted = instances.map((instance) => ({ instance, name: fillTemplate(name, instance.fields) }));
  const claims = new Map<string, number>();
  for (const { name } of wanted) {
    const key = name?.toLowerCase() ?? '';
    claims.set(key, (claims.get(key) ?? 0) + 1);
  }
  return new Map(
    wanted.map(({ instance, name: own }) => {
      const { id } = instance;
      const byItsId = (why: string, value?: string): [string, FoundInstance] => {
        notes.add(`named by their ids, since ${why}`, id, value);
        return [id, instance];
      };
      if (own === id) return [id, instance];
      if (own === undefined) return byItsId(`they have nothing for ${name.text}`);
      if (!NAME_RULE.isMet(own)) return byItsId('what their tags say is no good name of a node', own);
      if (INSTANCE_ID_RULE.isMet(own.toLowerCase()))
        return byItsId('their name would be the id of another one', own);
      if ((claims.get(own.toLowerCase()) ?? 0) > 1) return byItsId('another one has the same name', own);
      return [own, instance];
    }),
  );
}

/** `spellings` holds each name that is taken, in lower case, with the group that has it; empty for a node. */
function groupsOf(
  { id, fields }: FoundInstance,
  { groups }: AwsSource,
  spellings: Map<string, string>,
  notes: InstanceNotes,
): string[] {
  const names = new Set<string>();
  for (const template of groups) {
    const name = fillTemplate(template, fields);
    if (name === undefined) continue;
    const spelling = spellings.get(name.toLowerCase()) ?? name;
    if (!NAME_RULE.isMet(name)) notes.add('not in a group that is no good name', id, name);
    else if (spelling === '') notes.add('not in a group that has the name of a node', id, name);
    else if (spelling !== name)
      notes.add('not in a group that differs from another one by letter case only', id, name);
    else {
      spellings.set(name.toLowerCase(), name);
      names.add(name);
    }
  }
  return [...names];
}

function labelsOf(
  { id, fields }: FoundInstance,
  { labels }: AwsSource,
  notes: InstanceNotes,
): Record<string, string> {
  return Object.fromEntries(
    [...labels].flatMap(([key, template]) => {
      const value = fillTemplate(template, fields);
      if (value === undefined) return [];
      if (LABEL_VALUE_RULE.isMet(value) && value.length <= LABEL_VALUE_CHARS_MAX) return [[key, value]];
      notes.add(`without the label ${key}, since its value is too long or holds control characters`, id);
      return [];
    }),
  );
}
