/** What a NUL becomes in the store, and what announces it: SQLite cuts a text at a NUL, PostgreSQL refuses it. */
const MARK = '\u001a';
const SPECIAL = /[\0\u001a]/;

/** A text as it is stored. */
export function toStoredText(text: string): string {
  if (!SPECIAL.test(text)) return text;
  return text.replaceAll(MARK, `${MARK}1`).replaceAll('\0', `${MARK}0`);
}

/** A stored text as it was. */
export function fromStoredText(stored: string): string {
  if (!stored.includes(MARK)) return stored;
  return stored.replaceAll(`${MARK}0`, '\0').replaceAll(`${MARK}1`, MARK);
}
