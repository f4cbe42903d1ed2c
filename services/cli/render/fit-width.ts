/** Columns that a character takes on a terminal, nearly: wide East Asian characters and emoji take two. */
function widthOf(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x1100) return 1;
  const wide =
    code <= 0x115f ||
    (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    code >= 0x1f300;
  return wide ? 2 : 1;
}

/** The text, cut so that it takes at most `columns` on one line. It must be escaped and hold no colours. */
export function fitWidth(text: string, columns: number): string {
  let width = 0;
  let fitting = '';
  for (const character of text) {
    width += widthOf(character);
    if (width > columns) return fitting;
    fitting += character;
  }
  return fitting;
}
