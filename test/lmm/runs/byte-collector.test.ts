import assert from 'node:assert/strict';
import { createByteCollector } from '../../../services/lmm/runs/byte-collector.js';

describe('the bytes kept of a stream', () => {
  it('are the first ones, in one piece, however they came', () => {
    const text = Buffer.from('0123456789'.repeat(2000));
    for (const chunkBytes of [1, 7, 4096, 20_000]) {
      const collector = createByteCollector(15_000);
      for (let at = 0; at < text.length; at += chunkBytes) collector.add(text.subarray(at, at + chunkBytes));
      assert.deepEqual(collector.bytes, text.subarray(0, 15_000));
      assert.equal(collector.totalBytes, text.length);
    }
  });

  it('are none of a stream that stayed empty', () => {
    assert.equal(createByteCollector(10).bytes.length, 0);
  });
});
