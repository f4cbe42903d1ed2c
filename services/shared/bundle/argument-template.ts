import type { FaultPath } from '../fault.js';
import { quoted } from '../fault.js';
import { isObject } from '../schema/schema-graph.js';
import { didYouMean } from '../suggest.js';
import type { Secrets } from './secrets.js';

/** A piece of an argument: fixed text, or the value of a parameter. */
export type ArgumentPart = { readonly text: string } | { readonly parameter: string };

/** The pieces of one argument in their order. */
export type ArgumentWord = readonly ArgumentPart[];

/** Arguments that go together. */
export interface ArgumentGroup {
  /** The parameter that must be given for them to be added; undefined for always. */
  readonly when: string | undefined;
  readonly words: readonly ArgumentWord[];
}

/** `arguments` as a manifest gives them: texts, and texts that depend on a parameter. */
export type ArgumentsYaml = readonly (string | { readonly if: string; readonly add: readonly string[] })[];

const PIECE = /\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_-]*)\}|[{]/g;
const BRACE_RULE = 'holds a "{" that begins no parameter such as {name}: write "{{" for the character itself';
const SECRET_RULE = 'is a secret (writeOnly), and everybody on the node can read the arguments of a program';

/** Reads the arguments of a manifest; faults are told by their path inside `arguments`. */
export function readArguments(
  yaml: ArgumentsYaml,
  inputSchema: Readonly<Record<string, unknown>>,
  secrets: Secrets,
  add: (path: FaultPath, reason: string, rule: string) => void,
): ArgumentGroup[] {
  const properties = isObject(inputSchema['properties']) ? inputSchema['properties'] : {};
  const required = Array.isArray(inputSchema['required']) ? inputSchema['required'] : [];

  const isAlwaysThere = (name: string): boolean => {
    const property = properties[name];
    return required.includes(name) || (isObject(property) && Object.hasOwn(property, 'default'));
  };
  const check = (name: string, when: string | undefined, path: FaultPath): void => {
    if (!Object.hasOwn(properties, name)) {
      const near = didYouMean(name, Object.keys(properties));
      add(path, 'UNKNOWN', `names ${quoted(name)}, which is no property of input_schema${near}`);
    } else if (secrets.include(name)) {
      add(path, 'SECRET', `names ${quoted(name)}, which ${SECRET_RULE}`);
    } else if (name !== when && !isAlwaysThere(name)) {
      const remedy = `make it required, give it a default, or write {if: ${name}, add: [...]}`;
      add(path, 'OPTIONAL', `names ${quoted(name)}, which need not be given: ${remedy}`);
    }
  };
  const word = (text: string, when: string | undefined, path: FaultPath): ArgumentWord => {
    const { parts, isFaulty } = readWord(text);
    if (isFaulty) add(path, 'TEMPLATE', BRACE_RULE);
    for (const part of parts) if ('parameter' in part) check(part.parameter, when, path);
    return parts;
  };

  return yaml.map((item, index) => {
    if (typeof item === 'string') return { when: undefined, words: [word(item, undefined, [index])] };
    check(item.if, item.if, [index, 'if']);
    const words = item.add.map((text, at) => word(text, item.if, [index, 'add', at]));
    return { when: item.if, words };
  });
}

function readWord(text: string): { parts: ArgumentPart[]; isFaulty: boolean } {
  const parts: ArgumentPart[] = [];
  let isFaulty = false;
  let fixed = '';
  let from = 0;
  for (const { 0: piece, 1: parameter, index } of text.matchAll(PIECE)) {
    fixed += text.slice(from, index);
    from = index + piece.length;
    if (parameter !== undefined) {
      if (fixed !== '') parts.push({ text: fixed });
      fixed = '';
      parts.push({ parameter });
    } else {
      isFaulty ||= piece === '{';
      fixed += piece[0] as string;
    }
  }
  fixed += text.slice(from);
  if (fixed !== '' || parts.length === 0) parts.push({ text: fixed });
  return { parts, isFaulty };
}
