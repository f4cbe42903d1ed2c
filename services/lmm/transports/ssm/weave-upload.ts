import { encodeUpload } from '../encode-upload.js';
import type { NodeCommand } from '../transport.js';

/** An upload with holes that the node fills. */
export interface WovenUpload {
  /** All of it but the values, and but the spaces after them. */
  readonly bytes: Buffer;
  /** What each hole is filled with, and the bytes between it and the one before. */
  readonly holes: readonly { readonly skip: number; readonly name: string }[];
  /** Bytes for the values; what they leave of it is filled with spaces, at the very end. */
  readonly roomBytes: number;
  readonly nonce: string;
  readonly startToken: string;
}

/** A value as JSON; Parameter Store keeps 8 KiB at most, and half of it unless paid for. */
const ROOM_BYTES = 10 * 1024;

/**
 * The upload of a command whose input holds references. Its sizes stand in it before the values are known, so the input has room for
 * them: it ends with spaces, which JSON allows. Throws INVALID_REQUEST as encodeUpload does.
 */
export function weaveUpload(command: NodeCommand, leaseMs: number): WovenUpload {
  const { input, references = [] } = command;
  const roomBytes = references.length * ROOM_BYTES;
  const ends = [0, ...references.map(({ end }) => end)];
  const parts = ends.map((from, index) => input.subarray(from, references[index]?.start));
  const around = Buffer.concat(parts);
  const { bytes, ...rest } = encodeUpload(
    { ...command, input: Buffer.concat([around, Buffer.alloc(roomBytes, ' ')]) },
    leaseMs,
  );
  const before = bytes.length - around.length - roomBytes;
  return {
    ...rest,
    bytes: bytes.subarray(0, bytes.length - roomBytes),
    holes: references.map(({ name }, index) => ({
      name,
      skip: (index === 0 ? before : 0) + (parts[index]?.length ?? 0),
    })),
    roomBytes,
  };
}
