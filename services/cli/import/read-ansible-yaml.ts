import { LineCounter, parseDocument } from 'yaml';
import type { ScalarTag } from 'yaml';
import { RuneError } from '../../shared/errors.js';
import type { AnsibleInventory, AnsibleVars } from './ansible-inventory.js';
import { addHost, emptyInventory, groupOf, VAULTED } from './ansible-inventory.js';
import { expandRange } from './expand-range.js';

const ALIASES_MAX = 10_000;
const DEPTH_MAX = 50;
const TAGS: ScalarTag[] = [
  { tag: '!vault', resolve: () => VAULTED },
  { tag: '!unsafe', resolve: (text) => text },
];

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Reads an inventory in Ansible's YAML form. Throws COMMAND_INVALID with what cannot be read. */
export function readAnsibleYaml(text: string): AnsibleInventory {
  const lines = new LineCounter();
  const document = parseDocument(text, { customTags: TAGS, merge: true, version: '1.1', lineCounter: lines });
  const [error] = document.errors;
  if (error !== undefined)
    throw new RuneError('COMMAND_INVALID', `Line ${lines.linePos(error.pos[0]).line}: this is no YAML.`);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: ALIASES_MAX });
  } catch {
    throw new RuneError('COMMAND_INVALID', 'The file has too many aliases.');
  }
  if (!isMap(value)) throw new RuneError('COMMAND_INVALID', 'The file is no map of groups.');
  const inventory = emptyInventory();
  for (const [name, group] of Object.entries(value)) readGroup(inventory, name, group, 0);
  return inventory;
}

function readGroup(inventory: AnsibleInventory, name: string, raw: unknown, depth: number): void {
  const group = groupOf(inventory, name);
  if (raw === null || raw === undefined) return;
  if (!isMap(raw) || depth > DEPTH_MAX)
    throw new RuneError('COMMAND_INVALID', `The group "${name}" is no map of hosts, vars and children.`);
  for (const [key, value] of Object.entries(raw)) {
    if (key === 'hosts') {
      for (const [pattern, vars] of entriesOf(value, `hosts of "${name}"`)) {
        for (const host of expandRange(pattern)) addHost(inventory, name, host, varsOf(vars, pattern));
      }
    } else if (key === 'vars') {
      Object.assign(group.vars, varsOf(value, name));
    } else if (key === 'children') {
      for (const [child, content] of entriesOf(value, `children of "${name}"`)) {
        group.children.add(child);
        readGroup(inventory, child, content, depth + 1);
      }
    } else inventory.warnings.push(`The key ${key} of the group ${name} is not known.`);
  }
}

/** A name alone, or in a list, stands for one without anything below it. */
function entriesOf(value: unknown, what: string): [string, unknown][] {
  if (value === null || value === undefined) return [];
  if (typeof value === 'string') return [[value, undefined]];
  if (Array.isArray(value)) return value.map((one) => [String(one), undefined]);
  if (isMap(value)) return Object.entries(value);
  throw new RuneError('COMMAND_INVALID', `The ${what} are no map.`);
}

function varsOf(value: unknown, what: string): AnsibleVars {
  if (value === null || value === undefined) return {};
  if (isMap(value)) return value;
  throw new RuneError('COMMAND_INVALID', `The variables of "${what}" are no map.`);
}
