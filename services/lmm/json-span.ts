const WHITESPACE = ' \t\n\r';

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && WHITESPACE.includes(text[at] as string)) at++;
  return at;
}

/** Where the JSON string that begins with the quote at `from` ends (exclusive); the end of the text for one that does not end. */
export function jsonStringEnd(text: string, from: number): number {
  let at = from + 1;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote < 0) return text.length;
    let backslashes = 0;
    while (text[quote - 1 - backslashes] === '\\') backslashes++;
    if (backslashes % 2 === 0) return quote + 1;
    at = quote + 1;
  }
}

/**
 * Where the JSON value that begins at `from` ends (exclusive), by counting brackets outside strings. It does not check the
 * value: give the span to JSON.parse.
 */
export function jsonValueEnd(text: string, from: number): number {
  let depth = 0;
  let at = from;
  while (at < text.length) {
    const char = text[at] as string;
    if (char === '"') {
      at = jsonStringEnd(text, at);
    } else if (char === '{' || char === '[') {
      depth++;
      at++;
    } else if (char === '}' || char === ']') {
      if (depth === 0) return at;
      depth--;
      at++;
    } else if (depth === 0 && (char === ',' || WHITESPACE.includes(char))) {
      return at;
    } else {
      at++;
      continue;
    }
    if (depth === 0) return at;
  }
  return at;
}

/**
 * The exact text of the member `path` of a JSON object, so that numbers keep the form in which they were printed;
 * undefined if there is none. `text` must be valid JSON. Of duplicate keys the last counts, as with JSON.parse.
 */
export function jsonMember(text: string, path: readonly string[]): string | undefined {
  let value = text.trim();
  for (const key of path) {
    if (!value.startsWith('{')) return undefined;
    let found: string | undefined;
    let at = skipSpace(value, 1);
    while (value[at] === '"') {
      const keyEnd = jsonStringEnd(value, at);
      const name: unknown = JSON.parse(value.slice(at, keyEnd));
      const start = skipSpace(value, skipSpace(value, keyEnd) + 1);
      const end = jsonValueEnd(value, start);
      if (name === key) found = value.slice(start, end);
      at = skipSpace(value, skipSpace(value, end) + 1);
    }
    if (found === undefined) return undefined;
    value = found;
  }
  return value;
}
