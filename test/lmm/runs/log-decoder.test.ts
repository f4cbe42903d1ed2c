import assert from 'node:assert/strict';
import {
  LogLevel,
  LogLines,
  LogStream,
  type LogLine,
  type Progress,
} from '../../../services/shared/gen/rune/v1/run.js';
import { encodeLogBatch } from '../../../services/lmm/runs/log-batch.js';
import { createLogBatcher } from '../../../services/lmm/runs/log-batcher.js';
import { createLogDecoder } from '../../../services/lmm/runs/log-decoder.js';

const LINE_BYTES_MAX = 64;

/** In batches that hold few lines, or less than one. */
const LIMITS = { logBytesMax: 1_000_000, batchBytesMax: 100, batchAfterMs: 60_000 };

interface Decoded {
  readonly lines: LogLine[];
  readonly progress: Progress[];
  readonly batchBytes: number[];
}

function decode(bytes: Buffer, chunkBytes: number): Decoded {
  const lines: LogLine[] = [];
  const progress: Progress[] = [];
  const batchBytes: number[] = [];
  const batcher = createLogBatcher(LIMITS, (batch) => {
    const encoded = encodeLogBatch(batch);
    batchBytes.push(encoded.length);
    lines.push(...LogLines.decode(encoded).lines);
  });
  const decoder = createLogDecoder(
    { line: batcher.add, progress: (event) => void progress.push(event) },
    LINE_BYTES_MAX,
  );
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    // A copy that is wiped afterwards, as a stream would reuse its buffer.
    const chunk = Buffer.from(bytes.subarray(at, at + chunkBytes));
    decoder.write(chunk);
    chunk.fill(0);
  }
  decoder.end();
  batcher.flush();
  return { lines, progress, batchBytes };
}

const contents = (lines: LogLine[]): unknown[] => lines.map((line) => line.content?.value);

describe('standard error as log lines', () => {
  for (const chunkBytes of [1, 2, 3, 7, 64, 1000]) {
    describe(`in chunks of ${chunkBytes} bytes`, () => {
      it('keeps lines, empty lines and a last line without a newline', () => {
        assert.deepEqual(contents(decode(Buffer.from('one\n\ntwo\nthree'), chunkBytes).lines), [
          'one',
          '',
          'two',
          'three',
        ]);
      });

      it('keeps a character whole that lies on a chunk edge', () => {
        assert.deepEqual(contents(decode(Buffer.from('žluťoučký\n日本語\n👩‍🚒\n'), chunkBytes).lines), [
          'žluťoučký',
          '日本語',
          '👩‍🚒',
        ]);
      });

      it('gives them in batches within their limit', () => {
        const text = Array.from({ length: 50 }, (_, index) => 'é'.repeat(index % 30)).join('\n');
        const { lines, batchBytes } = decode(Buffer.from(text), chunkBytes);
        assert.equal(contents(lines).join('\n'), text);
        assert.ok(lines.every(({ stream }) => stream === LogStream.STDERR));
        assert.ok(Math.max(...batchBytes) <= LIMITS.batchBytesMax && batchBytes.length > 10);
      });

      it('hands on bytes that are not UTF-8 raw, and only that line', () => {
        const { lines } = decode(Buffer.from([0x61, 0xff, 0x0a, 0x62, 0x0a]), chunkBytes);
        assert.deepEqual(
          lines.map((line) => line.content?.$case),
          ['raw', 'text'],
        );
        assert.deepEqual(contents(lines), [Buffer.from([0x61, 0xff]), 'b']);
      });

      it('cuts a long line into parts, none of them inside a character', () => {
        const text = `${'é'.repeat(100)}\nshort\n`;
        const { lines } = decode(Buffer.from(text), chunkBytes);
        const parts = lines.slice(0, -1);
        assert.equal(parts.map((line) => line.content?.value).join(''), 'é'.repeat(100));
        assert.deepEqual(
          parts.map((line) => line.truncated),
          [...parts.slice(1).map(() => true), false],
        );
        assert.ok(lines.every((line) => line.content?.$case === 'text'));
        assert.equal(lines.at(-1)?.content?.value, 'short');
      });

      it('turns structured lines into progress and levelled lines', () => {
        const { lines, progress } = decode(
          Buffer.from(
            '\x1eRUNE {"type":"progress","percent":40.5,"message":"half"}\n' +
              '\x1eRUNE {"type":"log","level":"warn","message":"careful"}\nplain\n',
          ),
          chunkBytes,
        );
        assert.deepEqual(progress, [{ percent: 40.5, message: 'half', logStreaming: undefined }]);
        assert.deepEqual(
          lines.map((line) => [line.level, line.content?.value]),
          [
            [LogLevel.WARN, 'careful'],
            [LogLevel.UNSPECIFIED, 'plain'],
          ],
        );
      });
    });
  }

  it('leaves a line that only looks structured as it is', () => {
    for (const line of [
      '\x1eRUNE {broken',
      '\x1eRUNE 7',
      '\x1eRUNE {"type":"log","level":"shout"}',
      '\x1eRUNE {"type":"progress","percent":"1"}',
    ]) {
      assert.deepEqual(contents(decode(Buffer.from(`${line}\n`), 1000).lines), [line]);
    }
  });

  it('holds progress within 0 and 100', () => {
    const at = (percent: number): number | undefined =>
      decode(Buffer.from(`\x1eRUNE {"type":"progress","percent":${percent}}\n`), 1000).progress[0]?.percent;
    assert.equal(at(-3), 0);
    assert.equal(at(1e300), 100);
  });
});
