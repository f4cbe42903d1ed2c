import { Composer, isAlias, isMap, isScalar, isSeq, Lexer, Parser, visit } from 'yaml';
import type { CST, Document, ParsedNode } from 'yaml';
import type { FaultPath } from '../fault.js';
import { quoted } from '../fault.js';
import { createLineIndex } from './line-index.js';

const DEPTH_MAX = 100;
// Repeated keys are looked for below: the composer's own search takes quadratic time.
const OPTIONS = { stringKeys: true, uniqueKeys: false, resolveKnownTags: false };

/** A YAML file's content as plain data, with the line on which each part of it stands. */
export interface YamlSource {
  readonly file: string;
  /** JSON data: undefined where the file could not be parsed; of a key given twice, the last value. */
  readonly value: unknown;
  /** What YAML itself has against the file. */
  readonly faults: readonly { readonly line: number; readonly description: string }[];
  /** Line, from 1, of the part at this path or of the nearest part around it. */
  lineOf(path: FaultPath): number;
}

/**
 * Reads one YAML 1.2 document. Keys are text; keys given twice, anchors, unknown tags and several documents are faults: a
 * reader of the file must see what it means.
 */
export function readYaml(bytes: Buffer, file: string): YamlSource {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return { file, value: undefined, faults: [{ line: 1, description: 'is not UTF-8' }], lineOf: () => 1 };
  }
  const lineAt = createLineIndex(text);
  const { tokens, tooDeepAt } = parseTokens(text);
  if (tooDeepAt !== undefined) {
    const fault = { line: lineAt(tooDeepAt), description: `is nested deeper than ${DEPTH_MAX} levels` };
    return { file, value: undefined, faults: [fault], lineOf: () => fault.line };
  }
  const [document, second] = new Composer(OPTIONS).compose(tokens, true, text.length);
  if (document === undefined) throw new Error('The YAML composer made no document.');
  const faults = [...document.errors, ...document.warnings].map(({ pos, message }) => ({
    line: lineAt(pos[0]),
    description: `is not valid YAML: ${firstLine(message)}`,
  }));
  if (second !== undefined) {
    faults.push({ line: lineAt(second.range[0]), description: 'holds more than one document' });
  }
  if (document.directives.yaml.version !== '1.2') {
    faults.push({ line: 1, description: 'must be YAML 1.2' });
  }
  let isReadable = faults.length === 0;
  if (isReadable) {
    visit(document, {
      Alias: (_, { range }) => {
        isReadable = false;
        faults.push({
          line: lineAt(range?.[0] ?? 0),
          description: 'holds an alias, and aliases are not supported',
        });
      },
      Map: (_, { items }) => {
        const seen = new Set<string>();
        for (const { key } of items) {
          const name = isScalar(key) ? String(key.value) : '';
          if (seen.has(name)) {
            const offset = isScalar(key) ? key.range?.[0] : 0;
            faults.push({ line: lineAt(offset ?? 0), description: `holds the key ${quoted(name)} twice` });
          }
          seen.add(name);
        }
      },
    });
  }
  const value: unknown = isReadable ? document.toJS() : undefined;
  return { file, value, faults, lineOf: (path) => lineAt(offsetOf(document, path)) };
}

/** The text's structure, given up where it is so deep that the composer, which recurses, would exhaust the stack. */
function parseTokens(text: string): { tokens: CST.Token[]; tooDeepAt?: number } {
  const parser = new Parser();
  const tokens: CST.Token[] = [];
  for (const lexeme of new Lexer().lex(text)) {
    tokens.push(...parser.next(lexeme));
    if (parser.stack.length > DEPTH_MAX) return { tokens, tooDeepAt: parser.offset };
  }
  tokens.push(...parser.end());
  return { tokens };
}

function offsetOf(document: Document.Parsed, path: FaultPath): number {
  let node: unknown = document.contents;
  let offset = document.contents?.range[0] ?? 0;
  for (const part of path) {
    if (isMap<ParsedNode, ParsedNode | null>(node)) {
      const pair = node.items.findLast(({ key }) => isScalar(key) && String(key.value) === String(part));
      if (pair === undefined) break;
      offset = pair.key.range[0];
      node = pair.value;
    } else if (isSeq<ParsedNode>(node)) {
      const item = node.items[Number(part)];
      if (item === undefined || isAlias(item)) break;
      offset = item.range[0];
      node = item;
    } else break;
  }
  return offset;
}

function firstLine(message: string): string {
  return (message.split('\n')[0] ?? '').replace(/:$/, '');
}
