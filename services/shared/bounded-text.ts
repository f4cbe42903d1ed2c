/** Whether this byte of UTF-8 continues a character. */
const continues = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80;

const SURROGATE = /[\ud800-\udfff]/;
/** A UTF-16 unit is at most so many bytes of UTF-8. */
const UNIT_BYTES_MAX = 3;

/** The text cut to at most `bytesMax` bytes of UTF-8, never within a character. Lone surrogates become U+FFFD. */
export function startOf(text: string, bytesMax: number): string {
  if (text.length * UNIT_BYTES_MAX <= bytesMax && !SURROGATE.test(text)) return text;
  // A UTF-16 unit is at least one byte, so whatever lies past bytesMax units cannot be kept.
  const bytes = Buffer.from(text.length > bytesMax ? text.slice(0, bytesMax + 1) : text, 'utf8');
  if (bytes.length <= bytesMax) return bytes.toString('utf8');
  let end = bytesMax;
  while (end > 0 && continues(bytes[end])) end -= 1;
  return bytes.toString('utf8', 0, end);
}

/** The last `bytesMax` bytes of the text's UTF-8 at most, never starting within a character. */
export function endOf(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text.length > bytesMax ? text.slice(-bytesMax) : text, 'utf8');
  if (bytes.length <= bytesMax) return bytes.toString('utf8');
  let start = bytes.length - bytesMax;
  while (start < bytes.length && continues(bytes[start])) start += 1;
  return bytes.toString('utf8', start);
}
