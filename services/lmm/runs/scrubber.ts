/** What stands for a secret. */
const MARK = '[redacted]';
/** Shorter texts are in too many others: nothing could be read any more. */
const SECRET_BYTES_MIN = 4;
/** A longer secret is taken out in pieces, so that no more than this of a stream is ever held back. */
const PIECE_BYTES = 1024;

/** Takes secrets out of a stream of bytes whose chunks may part them anywhere. */
export interface ScrubbedStream {
  /** What may be passed on: without secrets, and without an end that may be the start of one. */
  write(chunk: Buffer): Buffer;
  /** What was held back. */
  end(): Buffer;
}

/** Takes secrets out of what a plugin prints, as they are and as JSON writes them, and each line of one that has several. */
export interface Scrubber {
  text(text: string): string;
  bytes(bytes: Buffer): Buffer;
  stream(): ScrubbedStream;
}

/** Leaves everything as it is: there are no secrets. */
const SECRETLESS: Scrubber = {
  text: (text) => text,
  bytes: (bytes) => bytes,
  stream: () => ({ write: (chunk) => chunk, end: () => Buffer.alloc(0) }),
};

/** Bytes as text with one character each. */
const toCharacters = (bytes: Buffer): string => bytes.toString('latin1');
const toBytes = (characters: string): Buffer => Buffer.from(characters, 'latin1');

function formsOf(secret: string): string[] {
  const lines = secret.split(/\r?\n/);
  return [secret, ...lines].flatMap((form) => [form, JSON.stringify(form).slice(1, -1)]);
}

function piecesOf(form: string): string[] {
  const characters = toCharacters(Buffer.from(form));
  const pieces: string[] = [];
  for (let at = 0; at < characters.length; at += PIECE_BYTES)
    pieces.push(characters.slice(at, at + PIECE_BYTES));
  return pieces.filter(({ length }) => length >= SECRET_BYTES_MIN);
}

/** Makes a Scrubber for these secrets. */
export function createScrubber(secrets: readonly string[]): Scrubber {
  const pieces = [...new Set(secrets.flatMap(formsOf).flatMap(piecesOf))];
  if (pieces.length === 0) return SECRETLESS;
  // The longest first: a regular expression takes the first that fits.
  pieces.sort((one, other) => other.length - one.length);
  const longest = pieces[0]?.length ?? 0;
  const firsts = new Set(pieces.map(([first]) => first));
  const any = new RegExp(pieces.map((piece) => piece.replace(/[^A-Za-z0-9]/g, toEscape)).join('|'), 'g');

  /** Where an end of the text begins that may be the start of a secret; its length if there is none. */
  const openEnd = (text: string, from: number): number => {
    for (let at = Math.max(from, text.length - longest + 1); at < text.length; at++) {
      if (!firsts.has(text[at])) continue;
      const end = text.slice(at);
      if (pieces.some((piece) => piece.length > end.length && piece.startsWith(end))) return at;
    }
    return text.length;
  };

  const stream = (): ScrubbedStream => {
    let held = '';
    return {
      write(chunk) {
        const text = held + toCharacters(chunk);
        let clean = '';
        let at = 0;
        for (;;) {
          any.lastIndex = at;
          const found = any.exec(text);
          const open = openEnd(text, at);
          if (found === null || found.index >= open) {
            held = text.slice(open);
            return toBytes(clean + text.slice(at, open));
          }
          clean += text.slice(at, found.index) + MARK;
          at = found.index + found[0].length;
        }
      },
      end() {
        const rest = held.replace(any, MARK);
        held = '';
        return toBytes(rest);
      },
    };
  };
  const bytes = (all: Buffer): Buffer => toBytes(toCharacters(all).replace(any, MARK));
  return { text: (text) => bytes(Buffer.from(text)).toString(), bytes, stream };
}

/** A character in a regular expression, whatever it means there otherwise. */
function toEscape(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
}
