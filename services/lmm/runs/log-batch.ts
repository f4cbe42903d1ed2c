import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { LogStream, type LogLevel } from '../../shared/gen/rune/v1/run.js';

/** A batch of log as it goes over the wire: with one object for each line, a flood would cost more than its bytes. */
export interface LogBatch {
  /** The fields `lines` of a LogLines. */
  readonly lines: Buffer;
  /** Bytes dropped just before these lines. */
  readonly droppedBytes: number;
}

/** What a line is besides its bytes. */
export interface LineForm {
  /** Its bytes are UTF-8. */
  readonly isText: boolean;
  readonly truncated: boolean;
  readonly level: LogLevel;
}

/** Tags of fields: LogLines.lines and .dropped_bytes, LogLine.text, .raw, .stream, .truncated and .level. */
const LINES = 0x0a;
const DROPPED_BYTES = 0x10;
const TEXT = 0x0a;
const RAW = 0x12;
const STREAM = 0x18;
const TRUNCATED = 0x20;
const LEVEL = 0x28;

/** What a line costs on the wire besides its bytes, at most: even empty ones must not make a batch too large. */
export const LINE_OVERHEAD_BYTES = 16;
/** Below this, a loop copies faster than a call. */
const SHORT_BYTES = 48;

/** The bytes of a LogLines. */
export function encodeLogBatch({ lines, droppedBytes }: LogBatch): Buffer {
  if (droppedBytes === 0) return lines;
  return Buffer.concat([lines, new BinaryWriter().uint32(DROPPED_BYTES).uint64(droppedBytes).finish()]);
}

/**
 * Writes the line `source[from]` to before `source[to]` as a field `lines` at `at`, and returns where it ends: at most
 * LINE_OVERHEAD_BYTES more than the line has.
 */
export function writeLine(
  target: Buffer,
  at: number,
  source: Buffer,
  from: number,
  to: number,
  { isText, truncated, level }: LineForm,
): number {
  const length = to - from;
  const formBytes = 2 + (truncated ? 2 : 0) + (level === 0 ? 0 : 2);
  let end = at;
  target[end++] = LINES;
  end = writeVarint(target, end, 1 + varintBytes(length) + length + formBytes);
  target[end++] = isText ? TEXT : RAW;
  end = writeVarint(target, end, length);
  if (length < SHORT_BYTES) for (let next = from; next < to; next++) target[end++] = source[next] as number;
  else end += source.copy(target, end, from, to);
  target[end++] = STREAM;
  target[end++] = LogStream.STDERR;
  if (truncated) {
    target[end++] = TRUNCATED;
    target[end++] = 1;
  }
  if (level !== 0) {
    target[end++] = LEVEL;
    target[end++] = level;
  }
  return end;
}

function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  return value < 0x4000 ? 2 : 3;
}

function writeVarint(target: Buffer, at: number, value: number): number {
  let rest = value;
  let end = at;
  for (; rest > 0x7f; rest >>>= 7) target[end++] = (rest & 0x7f) | 0x80;
  target[end++] = rest;
  return end;
}
