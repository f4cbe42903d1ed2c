import { createHash } from 'node:crypto';
import type { Blob } from '../shared/gen/rune/v1/lmm.js';
import { RuneError } from '../shared/errors.js';

/** Plugin bytes by digest, the least recently used thrown out first. */
export interface BlobCache {
  /**
   * The bytes of each blob, from its content or from an earlier one, checked against its digest at every use. Throws
   * PLUGIN_CONTENT_NEEDED with all digests that are missing, CHECKSUM_MISMATCH if content and digest disagree.
   */
  resolve(blobs: readonly Blob[]): Buffer[];
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Makes an empty BlobCache that holds at most `bytesMax`. */
export function createBlobCache(bytesMax: number): BlobCache {
  const byDigest = new Map<string, Buffer>();
  let heldBytes = 0;

  const keep = (digest: string, bytes: Buffer): void => {
    if (byDigest.delete(digest)) heldBytes -= bytes.length;
    byDigest.set(digest, bytes);
    heldBytes += bytes.length;
    for (const [oldest, old] of byDigest) {
      if (heldBytes <= bytesMax) break;
      byDigest.delete(oldest);
      heldBytes -= old.length;
    }
  };

  return {
    resolve(blobs) {
      const missing = blobs.filter((blob) => blob.content.length === 0 && !byDigest.has(blob.sha256));
      if (missing.length > 0) {
        throw new RuneError(
          'PLUGIN_CONTENT_NEEDED',
          `The mediator does not hold ${missing.length} of the plugin's parts.`,
          {
            missingSha256: missing.map((blob) => blob.sha256),
          },
        );
      }
      return blobs.map((blob) => {
        const held = byDigest.get(blob.sha256);
        const given = blob.content.length > 0 ? blob.content : (held as Buffer);
        // One copy for all runs that have it at the same time, however often it was sent.
        const bytes = held?.equals(given) === true ? held : given;
        if (sha256(bytes) !== blob.sha256) {
          throw new RuneError(
            'CHECKSUM_MISMATCH',
            'The bytes of the plugin are not those that its digest names.',
            {
              field: 'start.plugin',
              originalValue: blob.sha256,
            },
          );
        }
        keep(blob.sha256, bytes);
        return bytes;
      });
    },
  };
}
