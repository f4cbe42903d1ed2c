const CHARACTERS =
  'a"\\/\n\t\r\b\f\u0001\u0002\u001f\u007fé中\u{1f600}$`][{},:&*@?~| !%\u0080\u07ff\u2028\ufffd\u{10ffff}\ud800';
const WORDS = ['b c', '$(x)', 'u0041', '\\u', '%s', '\udc00', 'x'.repeat(30)];
const FRAGMENTS = Array.from(CHARACTERS).concat(WORDS);
const KEYS = ['__proto__', '', 'constructor', 'x:p', '@', '*', 'a]b', 'toString', 'a b'];
const NUMBERS = [
  '0',
  '-0',
  '1',
  '42',
  '-7',
  '1.5',
  '1.50',
  '-0.001',
  '1e5',
  '1E+5',
  '2e-3',
  '999',
  '12345678901234567890',
];
const BLANKS = [' ', '\n', '\t', '\r\n  '];
const DAMAGES = [
  ',',
  '"',
  '{',
  '}',
  '[',
  ']',
  ':',
  '1',
  '0',
  '\\',
  '-',
  't',
  'x',
  ' ',
  '|',
  '.',
  '\u0001',
  '\n',
];

/**
 * Makes JSON texts of every shape: odd strings and keys, all ways to write an escape, blanks, repeated keys, nesting. About a third
 * have one character removed, added or replaced. The same seed gives the same texts.
 * `blankShare` is how often there is a blank where one may be.
 */
export function randomDocuments(count: number, seed: number, blankShare = 0.05): string[] {
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(random() * limit);
  const pick = (choices: readonly string[]): string => choices[below(choices.length)] ?? '';
  const several = (limit: number, make: () => string): string[] => Array.from({ length: below(limit) }, make);
  const blank = (): string => (random() < blankShare ? pick(BLANKS) : '');

  const unicodeEscape = (unit: number): string => {
    const digits = unit.toString(16).padStart(4, '0');
    return `\\u${random() < 0.5 ? digits : digits.toUpperCase()}`;
  };
  const escapeCharacter = (character: string): string => {
    const point = character.codePointAt(0) ?? 0;
    const mustEscape = point < 32 || (point >= 0xd800 && point <= 0xdfff);
    if (mustEscape || random() < 0.15) {
      if (random() < 0.6 && '\n\t\r\b\f'.includes(character)) return JSON.stringify(character).slice(1, -1);
      return Array.from({ length: character.length }, (_, i) => unicodeEscape(character.charCodeAt(i))).join(
        '',
      );
    }
    if (character === '"' || character === '\\') return `\\${character}`;
    return character === '/' && random() < 0.5 ? '\\/' : character;
  };
  const stringOf = (text: string): string => `"${Array.from(text, escapeCharacter).join('')}"`;
  const key = (): string =>
    stringOf(random() < 0.1 ? pick(KEYS) : several(6, () => pick(FRAGMENTS)).join(''));
  const spaced = (text: string): string => blank() + text + blank();

  const objectOf = (depth: number): string =>
    `{${blank()}${several(5, () => `${spaced(key())}:${spaced(valueOf(depth))}`).join()}}`;
  const valueOf = (depth: number): string => {
    const kind = random();
    if (depth <= 0 || kind < 0.4) return stringOf(several(6, () => pick(FRAGMENTS)).join(''));
    if (kind < 0.6) return pick(NUMBERS);
    if (kind < 0.7) return pick(['true', 'false', 'null']);
    if (kind < 0.85) return `[${blank()}${several(4, () => spaced(valueOf(depth - 1))).join()}]`;
    return objectOf(depth - 1);
  };
  const damage = (text: string): string => {
    const characters = Array.from(text);
    const at = below(characters.length);
    const kind = below(3);
    if (kind === 0) characters.splice(at, 1);
    else characters.splice(at, kind - 1, pick(DAMAGES));
    return characters.join('');
  };

  return Array.from({ length: count }, () => {
    const text = spaced(random() < 0.2 ? valueOf(3) : objectOf(3));
    // A document of no bytes cannot be told from no document.
    return (random() < 0.35 ? damage(text) : text) || '{}';
  });
}
