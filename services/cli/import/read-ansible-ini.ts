import { RuneError } from '../../shared/errors.js';
import type { AnsibleInventory, AnsibleVars } from './ansible-inventory.js';
import { addHost, emptyInventory, groupOf } from './ansible-inventory.js';
import { expandRange } from './expand-range.js';

const SECTION = /^\[([^:\]\s]+)(?::(vars|children))?\]\s*(?:[#;].*)?$/;
const ASSIGNMENT = /^([^\s=]+)\s*=\s*(.*)$/s;

/** Reads an inventory in Ansible's INI form. Throws COMMAND_INVALID with the line that cannot be read. */
export function readAnsibleIni(text: string): AnsibleInventory {
  const inventory = emptyInventory();
  let group = 'ungrouped';
  let part: string | undefined;
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue;
    const section = SECTION.exec(line);
    if (section !== null) {
      group = section[1] ?? group;
      part = section[2];
      groupOf(inventory, group);
    } else if (line.startsWith('[') && !/^\[[^\]]*:[^\]]*\]\S/.test(line)) {
      throw fault(index, 'this section cannot be read');
    } else if (part === 'children') {
      const child = line.split(/\s/)[0] ?? '';
      groupOf(inventory, group).children.add(child);
      groupOf(inventory, child);
    } else if (part === 'vars') {
      const [, key = '', value = ''] = ASSIGNMENT.exec(line) ?? [];
      if (key === '') throw fault(index, 'a variable is written name=value');
      groupOf(inventory, group).vars[key] = literal(value.trim());
    } else {
      readHosts(inventory, group, line, index);
    }
  }
  return inventory;
}

function readHosts(inventory: AnsibleInventory, group: string, line: string, index: number): void {
  const words = splitWords(line);
  if (words === undefined) throw fault(index, 'a quote is not closed');
  const [pattern = '', ...assignments] = words;
  const vars: AnsibleVars = {};
  for (const word of assignments) {
    const [, key = '', value = ''] = ASSIGNMENT.exec(word) ?? [];
    if (key === '') throw fault(index, `"${word}" is no variable: name=value`);
    vars[key] = literal(value);
  }
  // "host:2222", but neither an IPv6 address nor the colon of a range.
  const [, host = pattern, port] = /^((?:[^:[\]]|\[[^\]]*\])+):(\d{1,5})$/.exec(pattern) ?? [];
  if (port !== undefined) vars['ansible_port'] ??= Number(port);
  for (const name of expandRange(host)) addHost(inventory, group, name, vars);
}

/** Words as a shell takes them: quotes join, a backslash keeps, and `#` after a space begins a comment. */
function splitWords(line: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < line.length; at += 1) {
    const character = line[at] ?? '';
    if (quote !== '') {
      if (character === quote) quote = '';
      else if (character === '\\' && quote === '"') word = `${word ?? ''}${line[(at += 1)] ?? ''}`;
      else word = `${word ?? ''}${character}`;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= '';
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (character === '#' && word === undefined) break;
    else if (character === '\\') word = `${word ?? ''}${line[(at += 1)] ?? ''}`;
    else word = `${word ?? ''}${character}`;
  }
  if (quote !== '') return undefined;
  if (word !== undefined) words.push(word);
  return words;
}

/** Ansible reads values as Python literals, and what is none as text. */
function literal(text: string): unknown {
  if (/^-?(?:0|[1-9]\d{0,14})$/.test(text) || /^-?\d{1,15}\.\d{1,15}$/.test(text)) return Number(text);
  if (text === 'True') return true;
  if (text === 'False') return false;
  if (text === 'None') return null;
  const quoted = /^(["'])(.*)\1$/s.exec(text);
  if (quoted !== null) return quoted[2];
  if (!/^[[{]/.test(text) || text.startsWith('{{')) return text;
  try {
    return JSON.parse(text.replaceAll("'", '"'));
  } catch {
    // A Python literal that is no JSON: kept as what was written.
    return text;
  }
}

function fault(index: number, what: string): RuneError {
  return new RuneError('COMMAND_INVALID', `Line ${index + 1}: ${what}.`);
}
