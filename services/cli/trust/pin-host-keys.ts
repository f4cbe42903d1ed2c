import { isDeepStrictEqual } from 'node:util';
import { isMap, isScalar, LineCounter, parseDocument, type Pair } from 'yaml';
import { RuneError } from '../../shared/errors.js';

/** An inventory with other pins for one node. */
export interface PinnedInventory {
  readonly text: string;
  /** Where the pins stand, from 1. */
  readonly line: number;
}

const KEY = 'host_key_fingerprints';

/**
 * The text of an inventory file in which the node pins these fingerprints, in place of those that it pinned before. Everything
 * else stays as it is, comments and spaces too. Throws COMMAND_INVALID if the file does not hold the node, or is written in a
 * way that must be edited by hand.
 */
export function pinHostKeys(text: string, node: string, fingerprints: readonly string[]): PinnedInventory {
  const before = read(text);
  const entry = entryOf(before.nodes, node);
  if (entry === undefined) throw invalid(`it defines no node ${JSON.stringify(node)}`);
  const pins = `[${fingerprints.join(', ')}]`;
  const byHand = (): RuneError => invalid(`the entry of ${node} must be edited by hand: add ${KEY}: ${pins}`);
  const edit = editOf(text, entry, pins);
  if (edit === undefined) throw byHand();
  const edited = text.slice(0, edit.from) + edit.put + text.slice(edit.to);

  // What the file means must differ in nothing but the pins.
  const after = read(edited);
  const expected = structuredClone(before.content) as {
    nodes: Record<string, Record<string, unknown> | null>;
  };
  expected.nodes[node] = { ...expected.nodes[node], [KEY]: [...fingerprints] };
  if (!isDeepStrictEqual(after.content, expected)) throw byHand();
  const pinned = entryOf(after.nodes, node)?.value;
  const place = isMap(pinned) ? entryOf(pinned, KEY)?.key : undefined;
  const offset = isScalar(place) ? place.range?.[0] : undefined;
  return { text: edited, line: after.lines.linePos(offset ?? 0).line };
}

interface Edit {
  readonly from: number;
  readonly to: number;
  readonly put: string;
}

/** Undefined for a way of writing that is not understood. */
function editOf(text: string, entry: Pair, pins: string): Edit | undefined {
  const { value } = entry;
  if (value === null || (isScalar(value) && value.value === null)) {
    const [from, to] = value?.range ?? [];
    if (from === undefined || to === undefined) return undefined;
    const [before, after] = [text[from - 1] === ':' ? ' ' : '', text[to] === '#' ? ' ' : ''];
    return { from, to, put: `${before}{ ${KEY}: ${pins} }${after}` };
  }
  if (!isMap(value) || value.range === undefined || value.range === null) return undefined;
  const old = entryOf(value, KEY);
  if (old !== undefined) return replacement(text, old, pins);
  const [first] = value.items;
  if (value.flow === true) {
    const from = value.range[0] + 1;
    return { from, to: from, put: ` ${KEY}: ${pins}${first === undefined ? ' ' : ','}` };
  }
  const from = isScalar(first?.key) ? first.key.range?.[0] : undefined;
  if (from === undefined) return undefined;
  const indent = text.slice(text.lastIndexOf('\n', from - 1) + 1, from);
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  return { from, to: from, put: `${KEY}: ${pins}${eol}${indent}` };
}

function replacement(text: string, { key, value }: Pair, pins: string): Edit | undefined {
  const keyEnd = isScalar(key) ? key.range?.[1] : undefined;
  const range = value !== null && typeof value === 'object' && 'range' in value ? value.range : undefined;
  if (keyEnd === undefined || !Array.isArray(range)) return undefined;
  const [start, end] = range as [number, number];
  const to = start + text.slice(start, end).trimEnd().length;
  // A list of several lines begins below its key, where one line would look lost.
  const isBelow = /^:\s*$/.test(text.slice(keyEnd, start));
  return isBelow ? { from: keyEnd, to, put: `: ${pins}` } : { from: start, to, put: pins };
}

function read(text: string): { content: unknown; nodes: unknown; lines: LineCounter } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' });
  const [error] = document.errors;
  if (error !== undefined) throw invalid(`line ${lines.linePos(error.pos[0]).line}: ${error.message}`);
  try {
    return { content: document.toJS(), nodes: document.get('nodes', true), lines };
  } catch {
    // The library refuses aliases that would expand to more than memory holds.
    throw invalid('its aliases expand to too much, or to nothing');
  }
}

function entryOf(map: unknown, name: string): Pair | undefined {
  if (!isMap(map)) return undefined;
  return map.items.find(({ key }) => isScalar(key) && String(key.value) === name);
}

const invalid = (why: string): RuneError =>
  new RuneError('COMMAND_INVALID', `--inventory: the file cannot be changed: ${why}.`);
