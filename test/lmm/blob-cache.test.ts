import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createBlobCache } from '../../services/lmm/blob-cache.js';

const BYTES_MAX = 1024;
const sha256 = createHash('sha256').update('echo hello').digest('hex');
const blobOf = (text: string): { sha256: string; content: Buffer } => ({
  sha256,
  content: Buffer.from(text),
});

describe('the cache of plugin bytes', () => {
  it('gives every run the same copy, however often the bytes were sent', () => {
    const cache = createBlobCache(BYTES_MAX);
    const [first] = cache.resolve([blobOf('echo hello')]);
    const [again] = cache.resolve([blobOf('echo hello')]);
    assert.equal(again, first);
  });

  it('refuses bytes that do not fit their digest, also when it holds those that do', () => {
    const cache = createBlobCache(BYTES_MAX);
    cache.resolve([blobOf('echo hello')]);
    assert.throws(() => cache.resolve([blobOf('echo other')]), { name: 'CHECKSUM_MISMATCH' });
    assert.equal(cache.resolve([blobOf('')])[0]?.toString(), 'echo hello');
  });
});
