import { randomBytes } from 'node:crypto';
import { v7 } from 'uuid';

/** A new UUID, version 7: ids made later in one process sort later. */
export function newId(): string {
  return v7();
}

/** A new W3C trace id: 32 lower-case hexadecimal digits. */
export function newTraceId(): string {
  return randomBytes(16).toString('hex');
}

/** A new W3C span id: 16 lower-case hexadecimal digits. */
export function newSpanId(): string {
  return randomBytes(8).toString('hex');
}
