/** A Puppet type with what stands in its brackets. */
export interface PuppetType {
  readonly name: string;
  readonly args: readonly PuppetArgument[];
}

/** What may stand in the brackets of a Puppet type. */
export type PuppetArgument =
  | { readonly kind: 'type'; readonly type: PuppetType }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'pattern'; readonly source: string }
  | { readonly kind: 'default' }
  | { readonly kind: 'members'; readonly members: readonly (readonly [PuppetArgument, PuppetArgument])[] };

const DEPTH_MAX = 16;
const TOKEN =
  /\s*(?:(=>|[[\]{},])|((?:::)?[A-Za-z_][\w-]*(?:::\w+)*)|(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)|'((?:[^'\\]|\\[^])*)'|"((?:[^"\\]|\\[^])*)"|\/((?:[^/\\]|\\[^])*)\/)/y;

interface Token {
  readonly kind: 'sign' | 'word' | 'number' | 'text' | 'pattern' | 'end';
  readonly text: string;
}

/** Reads the text of a Puppet type, such as `Optional[Enum['a', 'b']]`; undefined if it is none. */
export function parsePuppetType(text: string): PuppetType | undefined {
  const tokens = tokensOf(text);
  if (tokens === undefined) return undefined;
  let at = 0;
  const peek = (): Token => tokens[at] ?? { kind: 'end', text: '' };
  const take = (): Token => {
    const token = peek();
    at += 1;
    return token;
  };
  const isNext = (sign: string): boolean => peek().kind === 'sign' && peek().text === sign;
  const expect = (sign: string): void => {
    if (!isNext(sign)) throw new NotAPuppetType();
    at += 1;
  };
  /** Items up to the closing sign; a comma may stand behind the last one. */
  const list = <T>(close: string, item: () => T): T[] => {
    const items: T[] = [];
    while (!isNext(close)) {
      items.push(item());
      if (!isNext(close)) expect(',');
    }
    expect(close);
    return items;
  };
  const argument = (depth: number): PuppetArgument => {
    if (depth > DEPTH_MAX) throw new NotAPuppetType();
    if (isNext('{')) {
      at += 1;
      const members = list('}', () => {
        const key = argument(depth + 1);
        expect('=>');
        return [key, argument(depth + 1)] as const;
      });
      return { kind: 'members', members };
    }
    const { kind, text: value } = peek();
    if (kind === 'word' && /^[A-Z:]/.test(value)) return { kind: 'type', type: type(depth + 1) };
    at += 1;
    if (kind === 'number') return { kind, value: Number(value) };
    if (kind === 'text') return { kind, value };
    if (kind === 'pattern') return { kind, source: value };
    if (kind !== 'word') throw new NotAPuppetType();
    if (value === 'default') return { kind: 'default' };
    if (value === 'true' || value === 'false') return { kind: 'boolean', value: value === 'true' };
    return { kind: 'text', value };
  };
  const type = (depth: number): PuppetType => {
    const { kind, text: name } = take();
    if (kind !== 'word' || !/^[A-Z:]/.test(name)) throw new NotAPuppetType();
    if (!isNext('[')) return { name, args: [] };
    at += 1;
    return { name, args: list(']', () => argument(depth)) };
  };
  try {
    const whole = type(0);
    return peek().kind === 'end' ? whole : undefined;
  } catch (thrown) {
    if (thrown instanceof NotAPuppetType) return undefined;
    throw thrown;
  }
}

class NotAPuppetType extends Error {}

function tokensOf(text: string): Token[] | undefined {
  const tokens: Token[] = [];
  const scanner = new RegExp(TOKEN);
  const end = text.trimEnd().length;
  while (scanner.lastIndex < end) {
    const found = scanner.exec(text);
    if (found === null) return undefined;
    const [, sign, word, number, single, double, pattern] = found;
    const quotedText = single ?? double;
    if (sign !== undefined) tokens.push({ kind: 'sign', text: sign });
    else if (word !== undefined) tokens.push({ kind: 'word', text: word });
    else if (number !== undefined) tokens.push({ kind: 'number', text: number });
    else if (quotedText !== undefined)
      tokens.push({ kind: 'text', text: quotedText.replace(/\\([\\'"])/g, '$1') });
    else tokens.push({ kind: 'pattern', text: (pattern ?? '').replaceAll('\\/', '/') });
  }
  return tokens;
}
