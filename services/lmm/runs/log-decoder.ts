import { isUtf8 } from 'node:buffer';
import { LogLevel, LogStream, type LogLine, type Progress } from '../../shared/gen/rune/v1/run.js';

/** A line that begins with these bytes and goes on with one JSON object is a structured one. */
const STRUCTURED_PREFIX = Buffer.from('\x1eRUNE ');
const NEWLINE = 0x0a;
const MESSAGE_LENGTH_MAX = 1000;

const LEVELS: Readonly<Record<string, LogLevel>> = {
  debug: LogLevel.DEBUG,
  info: LogLevel.INFO,
  warn: LogLevel.WARN,
  error: LogLevel.ERROR,
};

/** Receives the decoded pieces of a plugin's standard error. */
export interface LogConsumer {
  line(line: LogLine, bytes: number): void;
  progress(progress: Progress): void;
}

function textLine(bytes: Buffer, truncated: boolean): LogLine {
  // Copied: the chunk it is cut from is reused by the stream.
  const content: LogLine['content'] = isUtf8(bytes)
    ? { $case: 'text', value: bytes.toString() }
    : { $case: 'raw', value: Buffer.from(bytes) };
  return { content, stream: LogStream.STDERR, truncated, level: LogLevel.UNSPECIFIED };
}

function structured(bytes: Buffer): { progress: Progress } | { line: LogLine } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(bytes.subarray(STRUCTURED_PREFIX.length).toString());
  } catch {
    // A line that only looks structured stays an ordinary line.
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { type, percent, level, message } = value as Record<string, unknown>;
  const text = typeof message === 'string' ? message : '';
  if (type === 'progress' && typeof percent === 'number' && Number.isFinite(percent)) {
    return {
      progress: {
        percent: Math.min(100, Math.max(0, percent)),
        message: text.slice(0, MESSAGE_LENGTH_MAX),
        logStreaming: undefined,
      },
    };
  }
  if (type === 'log' && typeof level === 'string' && LEVELS[level] !== undefined) {
    return {
      line: {
        content: { $case: 'text', value: text },
        stream: LogStream.STDERR,
        truncated: false,
        level: LEVELS[level],
      },
    };
  }
  return undefined;
}

/**
 * Cuts a byte stream into lines, whatever its chunks: a character split over two chunks stays whole, a line longer than
 * `lineBytesMax` comes in parts marked truncated, and at most one line is held back.
 */
export function createLogDecoder(
  consumer: LogConsumer,
  lineBytesMax: number,
): { write(chunk: Buffer): void; end(): void } {
  let held: Buffer[] = [];
  let heldBytes = 0;

  const take = (last: Buffer): Buffer => {
    if (heldBytes === 0) return last;
    const line = Buffer.concat([...held, last], heldBytes + last.length);
    held = [];
    heldBytes = 0;
    return line;
  };

  const emit = (bytes: Buffer, truncated: boolean): void => {
    if (
      !truncated &&
      bytes[0] === STRUCTURED_PREFIX[0] &&
      bytes.subarray(0, STRUCTURED_PREFIX.length).equals(STRUCTURED_PREFIX)
    ) {
      const event = structured(bytes);
      if (event !== undefined) {
        if ('progress' in event) consumer.progress(event.progress);
        else consumer.line(event.line, bytes.length);
        return;
      }
    }
    consumer.line(textLine(bytes, truncated), bytes.length + 1);
  };

  // A part of a long line must not end inside a character, or both halves would become raw bytes.
  const partEnd = (bytes: Buffer): number => {
    for (let back = 1; back <= 3 && back < bytes.length; back++) {
      const byte = bytes[bytes.length - back] as number;
      if ((byte & 0xc0) === 0x80) continue;
      return byte >= 0xc0 ? bytes.length - back : bytes.length;
    }
    return bytes.length;
  };

  const hold = (rest: Buffer): void => {
    let remaining = rest;
    while (heldBytes + remaining.length > lineBytesMax) {
      const room = lineBytesMax - heldBytes;
      const part = take(remaining.subarray(0, room));
      const end = partEnd(part);
      emit(part.subarray(0, end), true);
      held = [part.subarray(end)];
      heldBytes = part.length - end;
      remaining = remaining.subarray(room);
    }
    // Copied: the stream may reuse the chunk before the rest of the line arrives.
    held.push(Buffer.from(remaining));
    heldBytes += remaining.length;
  };

  return {
    write(chunk) {
      let from = 0;
      for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
        const line = chunk.subarray(from, at);
        from = at + 1;
        if (heldBytes + line.length > lineBytesMax) {
          hold(line);
          emit(take(Buffer.alloc(0)), false);
        } else {
          emit(take(line), false);
        }
      }
      if (from < chunk.length) hold(chunk.subarray(from));
    },
    end() {
      if (heldBytes > 0) emit(take(Buffer.alloc(0)), false);
    },
  };
}
