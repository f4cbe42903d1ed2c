import { isUtf8 } from 'node:buffer';
import { LogLevel, type Progress } from '../../shared/gen/rune/v1/run.js';
import type { LineForm } from './log-batch.js';

/** A line that begins with these bytes and goes on with one JSON object is a structured one. */
const STRUCTURED_PREFIX = Buffer.from('\x1eRUNE ');
const NEWLINE = 0x0a;
const MESSAGE_LENGTH_MAX = 1000;
const NOTHING = Buffer.alloc(0);

const formOf = (isText: boolean, truncated: boolean, level: LogLevel): LineForm => ({
  isText,
  truncated,
  level,
});
const TEXT = formOf(true, false, LogLevel.UNSPECIFIED);
const RAW = formOf(false, false, LogLevel.UNSPECIFIED);
const TEXT_PART = formOf(true, true, LogLevel.UNSPECIFIED);
const RAW_PART = formOf(false, true, LogLevel.UNSPECIFIED);

const LEVELS: Readonly<Record<string, LogLevel>> = {
  debug: LogLevel.DEBUG,
  info: LogLevel.INFO,
  warn: LogLevel.WARN,
  error: LogLevel.ERROR,
};

/** Receives the decoded pieces of a plugin's standard error. */
export interface LogConsumer {
  /** A line is `source[from]` to before `source[to]`, which is only there until the call returns; `printedBytes` is what it was. */
  line(source: Buffer, from: number, to: number, form: LineForm, printedBytes: number): void;
  progress(progress: Progress): void;
}

function structured(
  bytes: Buffer,
): { progress: Progress } | { message: Buffer; level: LogLevel } | undefined {
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
    return { message: Buffer.from(text), level: LEVELS[level] };
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

  const isStructured = (source: Buffer, from: number, to: number): boolean =>
    source[from] === STRUCTURED_PREFIX[0] &&
    source.subarray(from, Math.min(to, from + STRUCTURED_PREFIX.length)).equals(STRUCTURED_PREFIX);

  const emit = (source: Buffer, from: number, to: number, isText: boolean): void => {
    const event = isStructured(source, from, to) ? structured(source.subarray(from, to)) : undefined;
    if (event === undefined) consumer.line(source, from, to, isText ? TEXT : RAW, to - from + 1);
    else if ('progress' in event) consumer.progress(event.progress);
    else {
      const { message, level } = event;
      consumer.line(message, 0, message.length, formOf(true, false, level), to - from);
    }
  };

  const emitAll = (line: Buffer): void => emit(line, 0, line.length, isUtf8(line));
  const emitPart = (part: Buffer): void =>
    consumer.line(part, 0, part.length, isUtf8(part) ? TEXT_PART : RAW_PART, part.length + 1);

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
      emitPart(part.subarray(0, end));
      held = [part.subarray(end)];
      heldBytes = part.length - end;
      remaining = remaining.subarray(room);
    }
    // Copied: the stream may reuse the chunk before the rest of the line arrives.
    held.push(Buffer.from(remaining));
    heldBytes += remaining.length;
  };

  /** The end of the line that is held. */
  const completeHeld = (line: Buffer): void => {
    if (heldBytes + line.length > lineBytesMax) {
      hold(line);
      emitAll(take(NOTHING));
    } else emitAll(take(line));
  };

  return {
    write(chunk) {
      const end = chunk.lastIndexOf(NEWLINE) + 1;
      let from = 0;
      if (end > 0 && heldBytes > 0) {
        const at = chunk.indexOf(NEWLINE);
        completeHeld(chunk.subarray(0, at));
        from = at + 1;
      }
      // Nearly always UTF-8 as a whole: then its lines are, and need not be looked at one by one.
      const isText = from < end && isUtf8(chunk.subarray(from, end));
      while (from < end) {
        const at = chunk.indexOf(NEWLINE, from);
        if (at - from > lineBytesMax) completeHeld(chunk.subarray(from, at));
        else emit(chunk, from, at, isText || isUtf8(chunk.subarray(from, at)));
        from = at + 1;
      }
      if (from < chunk.length) hold(chunk.subarray(from));
    },
    end() {
      if (heldBytes > 0) emitAll(take(NOTHING));
    },
  };
}
