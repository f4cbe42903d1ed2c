import { randomUUID } from 'node:crypto';
import { v7 } from 'uuid';

/** A new UUID, version 7: ids made later in one process sort later. */
export function newId(): string {
  return v7();
}

/** When a UUID of version 7 was made, in Unix milliseconds by its maker's clock; undefined for other versions. */
export function idTimeMs(id: string): number | undefined {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-7/.test(id)
    ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
    : undefined;
}

// Random UUIDs come out of a store of random bytes, each few of which would otherwise be asked of the system.

/** A new W3C trace id: 32 lower-case hexadecimal digits. */
export function newTraceId(): string {
  return randomUUID().replaceAll('-', '');
}

/** A new W3C span id: 16 lower-case hexadecimal digits. */
export function newSpanId(): string {
  const uuid = randomUUID();
  return uuid.slice(19, 23) + uuid.slice(24);
}
