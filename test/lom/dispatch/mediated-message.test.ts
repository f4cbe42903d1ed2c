import assert from 'node:assert/strict';
import { decodeMediated, firstLines } from '../../../services/lom/dispatch/mediated-message.js';
import { MediateResponse } from '../../../services/shared/gen/rune/v1/lmm.js';
import { LogLevel, LogLines, LogStream, type LogLine } from '../../../services/shared/gen/rune/v1/run.js';
import { requestHeader } from '../../../services/shared/messages/header.js';

const AT = new Date('2026-01-02T03:04:05.678Z');
const line = (content: LogLine['content'], more: Partial<LogLine> = {}): LogLine => ({
  content,
  stream: LogStream.STDERR,
  truncated: false,
  level: LogLevel.UNSPECIFIED,
  ...more,
});
const LOG: LogLines = {
  lines: [
    line({ $case: 'text', value: 'plain' }),
    line({ $case: 'text', value: '' }),
    line(undefined),
    line({ $case: 'raw', value: Buffer.from([0x61, 0xff]) }),
    line({ $case: 'text', value: `žluť ${'x'.repeat(300)}` }, { truncated: true, level: LogLevel.WARN }),
  ],
  droppedBytes: 1_000_000,
};
/** Bytes of the texts, and a newline for each line. */
const TEXT_BYTES = 5 + 0 + 0 + 2 + (7 + 300) + 5;

const encode = (event: MediateResponse['event']): Buffer =>
  Buffer.from(
    MediateResponse.encode({
      header: requestHeader(undefined, 'ACTION_LOG', 'lmm', 'lom'),
      runId: 'run',
      eventNo: 7,
      at: AT,
      lmmInstanceId: 'one',
      event,
    }).finish(),
  );
/** A message of which the log has these bytes. */
const withLog = (log: Buffer): Buffer => {
  assert.ok(log.length < 128);
  return Buffer.concat([encode(undefined), Buffer.from([0x3a, log.length]), log]);
};
const logIn = (message: Buffer): { bytes: Buffer; textBytes: number } => {
  const { event } = decodeMediated(message);
  assert.ok(event?.$case === 'log');
  return event.value;
};

describe('a message of a mediator', () => {
  it('brings its log as the bytes that came', () => {
    const message = encode({ $case: 'log', value: LOG });
    const { eventNo, at } = decodeMediated(message);
    assert.deepEqual([eventNo, at], [7, AT]);
    const { bytes, textBytes } = logIn(message);
    assert.deepEqual(LogLines.decode(bytes), LOG);
    assert.equal(textBytes, TEXT_BYTES);
    assert.equal(bytes.buffer, message.buffer);
  });

  it('brings any other event as it is', () => {
    const progress = { percent: 40, message: 'half', logStreaming: undefined };
    const event = { $case: 'progress' as const, value: progress };
    assert.deepEqual(decodeMediated(encode(event)), { eventNo: 7, at: AT, event });
    assert.equal(decodeMediated(encode(undefined)).event, undefined);
  });

  it('may have its fields in another order, and the last event counts', () => {
    const log = encode({ $case: 'log', value: LOG });
    const other = Buffer.from(
      MediateResponse.encode({
        ...MediateResponse.create(),
        eventNo: 9,
        event: { $case: 'accepted', value: {} },
      }).finish(),
    );
    assert.equal(decodeMediated(Buffer.concat([log, other])).event?.$case, 'accepted');
    const turned = decodeMediated(Buffer.concat([other, log]));
    assert.equal(turned.eventNo, 7);
    assert.ok(turned.event?.$case === 'log');
    assert.deepEqual(LogLines.decode(turned.event.value.bytes), LOG);
    const early = Buffer.concat([log, encode(undefined)]);
    assert.equal(logIn(early).textBytes, TEXT_BYTES);
  });

  it('passes no text on that is not UTF-8, and no field that is not known', () => {
    const notUtf8 = logIn(withLog(Buffer.from([0x0a, 0x04, 0x0a, 0x02, 0x61, 0xff])));
    assert.deepEqual(LogLines.decode(notUtf8.bytes).lines[0]?.content, { $case: 'text', value: 'a\ufffd' });
    const unknown = logIn(withLog(Buffer.from([0x0a, 0x05, 0x0a, 0x01, 0x61, 0x78, 0x01, 0x78, 0x01])));
    assert.equal(unknown.textBytes, 2);
    assert.deepEqual([...unknown.bytes], [0x0a, 0x03, 0x0a, 0x01, 0x61]);
  });

  it('gives the first lines of its log, whole ones, and what was dropped before them', () => {
    const log = logIn(encode({ $case: 'log', value: LOG }));
    const linesIn = (textBytesMax: number): number | undefined => {
      const first = firstLines(log, textBytesMax);
      if (first === undefined) return undefined;
      const { lines, droppedBytes } = LogLines.decode(first.bytes);
      assert.deepEqual({ lines, droppedBytes }, { ...LOG, lines: LOG.lines.slice(0, lines.length) });
      assert.ok(first.textBytes <= textBytesMax);
      return lines.length;
    };
    assert.deepEqual([5, 6, 8, 10, 11, TEXT_BYTES - 1, TEXT_BYTES].map(linesIn), [
      undefined,
      1,
      3,
      3,
      4,
      4,
      5,
    ]);
  });

  it('is refused where it is malformed, wherever it is cut off', () => {
    const log = Buffer.from(LogLines.encode({ lines: LOG.lines.slice(0, 1), droppedBytes: 0 }).finish());
    for (let length = 1; length < log.length; length++) {
      assert.throws(() => decodeMediated(withLog(log.subarray(0, length))), `${length} bytes`);
    }
    const message = encode({ $case: 'log', value: LOG });
    assert.throws(() => decodeMediated(message.subarray(0, -1)));
  });
});
