import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';

/** From here on it saves pages of the database, which cost more than packing: log takes a tenth of its room, seldom more than a third. */
const PACKED_FROM_BYTES = 4 * 1024;
/** So much of a larger body is packed first: where that leaves more than half, as of Base64, the rest is not worth its time. */
const SAMPLE_BYTES = 4 * 1024;
const CHUNK_BYTES_MAX = 64 * 1024;
/** The fastest: a MiB of log takes 1 to 3 ms, to write it as it is 8 ms and more. */
const FASTEST = { [constants.BROTLI_PARAM_QUALITY]: 0, [constants.BROTLI_PARAM_LGWIN]: 18 };

/** The body of an event as it is stored: packed where that makes it much shorter, which is how one can tell. */
export function toStoredBody(body: Buffer): Buffer {
  if (body.length < PACKED_FROM_BYTES) return body;
  if (body.length > 2 * SAMPLE_BYTES && !isWorthIt(body.subarray(0, SAMPLE_BYTES))) return body;
  const packed = pack(body);
  return packed.length < body.length ? packed : body;
}

/** A stored body as it was, with so many bytes. Undefined where the database gives back something else than was stored. */
export function fromStoredBody(stored: Buffer, bytes: number): Buffer | undefined {
  if (stored.length >= bytes) return stored.length === bytes ? stored : undefined;
  try {
    const chunkSize = Math.min(bytes, CHUNK_BYTES_MAX);
    const body = brotliDecompressSync(stored, { maxOutputLength: bytes, chunkSize });
    return body.length === bytes ? body : undefined;
  } catch {
    return undefined;
  }
}

const isWorthIt = (sample: Buffer): boolean => pack(sample).length <= sample.length / 2;

const pack = (bytes: Buffer): Buffer =>
  brotliCompressSync(bytes, { params: FASTEST, chunkSize: Math.min(bytes.length, CHUNK_BYTES_MAX) });
