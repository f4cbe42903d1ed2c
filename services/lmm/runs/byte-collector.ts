const FIRST_BYTES = 4096;

/** Gathers the first bytes of a stream, whatever its chunks, in one piece of memory. */
export interface ByteCollector {
  add(chunk: Buffer): void;
  /** At most bytesMax. */
  readonly bytes: Buffer;
  /** All bytes that came, kept or not. */
  readonly totalBytes: number;
}

/** Makes a ByteCollector that keeps at most `bytesMax`. */
export function createByteCollector(bytesMax: number): ByteCollector {
  let kept = Buffer.alloc(0);
  let length = 0;
  let totalBytes = 0;
  return {
    add(chunk) {
      totalBytes += chunk.length;
      const wanted = Math.min(length + chunk.length, bytesMax);
      if (wanted > kept.length) {
        const larger = Buffer.alloc(Math.min(bytesMax, Math.max(wanted, 2 * kept.length, FIRST_BYTES)));
        kept.copy(larger, 0, 0, length);
        kept = larger;
      }
      length += chunk.copy(kept, length, 0, wanted - length);
    },
    get bytes() {
      return kept.subarray(0, length);
    },
    get totalBytes() {
      return totalBytes;
    },
  };
}
