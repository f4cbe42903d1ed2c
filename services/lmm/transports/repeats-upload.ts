import type { NodeCommand } from './transport.js';

/** So many bytes in a row are no chance. Whatever repeats twice as many holds such a piece at a multiple of it. */
const PIECE_BYTES = 24;

/**
 * Whether a node that was sent the upload of a command gives some of that back: the header, by the nonce in it, or what the
 * plugin reads and is called with. A forced command such as `cat` does; parameters may be secrets and belong in no error.
 */
export function repeatsUpload(printed: Buffer, command: NodeCommand, nonce: string): boolean {
  if (printed.includes(nonce)) return true;
  const sent = [
    command.input,
    ...[...command.arguments, ...Object.values(command.environment)].map(toBuffer),
  ];
  for (let at = 0; at + PIECE_BYTES <= printed.length; at += PIECE_BYTES) {
    const piece = printed.subarray(at, at + PIECE_BYTES);
    if (sent.some((bytes) => bytes.includes(piece))) return true;
  }
  return false;
}

const toBuffer = (text: string): Buffer => Buffer.from(text);
