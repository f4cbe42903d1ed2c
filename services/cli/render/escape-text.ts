/**
 * What a terminal would act on instead of showing it: control characters (C0, DEL, C1), bidirectional controls, separators
 * that break a line, invisible format characters and halves of surrogate pairs.
 */
const DANGEROUS =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|\p{Surrogate}/gu;

function spell(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${code.toString(16).padStart(4, '0')}` : `\\u{${code.toString(16)}}`;
}

/** Text from a node, safe to print on one line of a terminal: everything a terminal would act on is spelled out (`\x1b`). */
export function escapeText(text: string): string {
  return text.replaceAll('\t', '    ').replace(DANGEROUS, spell);
}

/** Bytes that are not UTF-8 as one line: printable ASCII as it is, every other byte as `\xNN`. */
export function escapeBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('latin1')
    .replace(/[^ -~]/g, spell);
}

/**
 * JSON text that a terminal cannot act on and that still means the same: what JSON leaves bare (C1 controls, bidirectional
 * controls, invisible characters) becomes `\uNNNN`. Such characters can only stand inside of strings.
 */
export function escapeJson(json: string): string {
  return json.replace(DANGEROUS, (character) =>
    character === '\n'
      ? character
      : Array.from({ length: character.length }, (_, index) => character.charCodeAt(index))
          .map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`)
          .join(''),
  );
}
