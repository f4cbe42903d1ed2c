import { startOf } from '../bounded-text.js';
import { RuneError } from '../errors.js';

/** Bytes of one text in a log line. */
const TEXT_BYTES_MAX = 8 * 1024;
/** Bytes of a whole line; fields that come last give way. */
const LINE_BYTES_MAX = 32 * 1024;
const DEPTH_MAX = 6;
const ITEMS_MAX = 50;
const CAUSES_MAX = 5;
const SECRET_KEY = /pass(word|wd|phrase)?$|secret|token|authorization|private_?key|credential_?value/i;
/** What JSON writes otherwise than as it stands. */
const ESCAPED = /["\\\u0000-\u001f\ud800-\udfff]/;
const REDACTED = '[redacted]';

/**
 * A log line as plain, bounded data: texts are cut, errors are written with their causes, values under keys named like a
 * secret are replaced. Never throws, whatever the fields hold.
 */
export function logFields(
  head: Readonly<Record<string, string>>,
  fields: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const line: Record<string, unknown> = {};
  let bytes = 0;
  for (const source of [head, fields]) {
    for (const key of Object.keys(source)) {
      // The head's keys are the line's own.
      if (key in line) continue;
      const plain = SECRET_KEY.test(key) ? REDACTED : toPlain(source[key], DEPTH_MAX);
      bytes += key.length + lengthOf(plain);
      if (bytes > LINE_BYTES_MAX) {
        line['cut'] = true;
        return line;
      }
      line[key] = plain;
    }
  }
  return line;
}

/** How long a value is as JSON. */
function lengthOf(plain: unknown): number {
  if (typeof plain === 'string' && !ESCAPED.test(plain)) return plain.length + 2;
  return (JSON.stringify(plain) ?? '').length;
}

function toPlain(value: unknown, depth: number): unknown {
  try {
    return convert(value, depth);
  } catch {
    // A getter or toJSON of the value threw: the line must be written all the same.
    return '[unreadable]';
  }
}

function convert(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return startOf(value, TEXT_BYTES_MAX);
  if (typeof value === 'bigint') return value.toString();
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return value;
  if (typeof value !== 'object') return undefined;
  if (value instanceof Error) return errorFields(value, CAUSES_MAX);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Uint8Array) return `[${value.length} bytes]`;
  if (depth === 0) return '[…]';
  if (value instanceof Map || value instanceof Set) return convert([...value], depth);
  if (Array.isArray(value)) return value.slice(0, ITEMS_MAX).map((item: unknown) => toPlain(item, depth - 1));
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, ITEMS_MAX)
      .map(([key, item]) => [key, SECRET_KEY.test(key) ? REDACTED : toPlain(item, depth - 1)]),
  );
}

function errorFields(error: Error, causesLeft: number): Record<string, unknown> {
  const fields: Record<string, unknown> = {
    name: error.name,
    message: startOf(error.message, TEXT_BYTES_MAX),
  };
  if (error instanceof RuneError) {
    for (const key of ['reason', 'field', 'node', 'action', 'executionId', 'runId'] as const) {
      const fact = error.facts[key];
      if (fact !== undefined && fact !== '') fields[key] = startOf(fact, TEXT_BYTES_MAX);
    }
  } else {
    // A RuneError says everything in its message and its cause.
    fields['stack'] = startOf(error.stack ?? '', TEXT_BYTES_MAX);
  }
  if ('code' in error && (typeof error.code === 'string' || typeof error.code === 'number'))
    fields['code'] = error.code;
  if (error.cause !== undefined && causesLeft > 0) {
    fields['cause'] =
      error.cause instanceof Error
        ? errorFields(error.cause, causesLeft - 1)
        : toPlain(error.cause, DEPTH_MAX - 1);
  }
  return fields;
}
