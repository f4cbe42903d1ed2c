import type { Fault } from '../fault.js';
import { FAULTS_LISTED_MAX } from '../fault.js';

/** Limits of a JSON value. `depthMax` counts objects and arrays, the outermost included. */
export interface JsonBounds {
  readonly depthMax: number;
  readonly bytesMax: number;
}

/**
 * What keeps a value from travelling unharmed: too deep, too large as JSON text, numbers that JSON or a double cannot hold
 * exactly, things that are not JSON. At most 20 faults; empty if the value is fine.
 */
export function checkJsonBounds(value: unknown, bounds: JsonBounds): Fault[] {
  const faults: Fault[] = [];
  const path: (string | number)[] = [];
  let bytes = 0;

  const add = (reason: string, description: string): void => {
    faults.push({ path: [...path], reason, description });
  };
  // Over the size nothing more is looked at: a small text with large defaults may stand for gigabytes.
  const isOver = (): boolean => bytes > bounds.bytesMax || faults.length >= FAULTS_LISTED_MAX;

  const visit = (item: unknown, depth: number): void => {
    const wrong = scalarFault(item);
    if (wrong !== undefined) add(wrong.reason, wrong.description);
    else if (typeof item !== 'object' || item === null) bytes += scalarBytes(item);
    else if (depth > bounds.depthMax) {
      add('DEPTH', `is nested deeper than ${bounds.depthMax} objects and arrays`);
    } else {
      const isArray = Array.isArray(item);
      bytes += 2;
      let separator = 0;
      for (const [key, child] of isArray ? item.entries() : Object.entries(item)) {
        bytes += separator + (typeof key === 'string' ? scalarBytes(key) + 1 : 0);
        separator = 1;
        path.push(key);
        visit(child, depth + 1);
        path.pop();
        if (isOver()) return;
      }
    }
  };

  visit(value, 1);
  if (bytes > bounds.bytesMax) {
    faults.push({ path: [], reason: 'SIZE', description: `is larger than ${bounds.bytesMax} bytes as JSON` });
  }
  return faults.slice(0, FAULTS_LISTED_MAX);
}

function scalarFault(value: unknown): Omit<Fault, 'path'> | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined;
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return { reason: 'NOT_FINITE', description: 'must be a finite number' };
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
      return {
        reason: 'NOT_EXACT',
        description: 'is an integer beyond 2^53, which loses digits: use a string',
      };
    }
    return undefined;
  }
  if (typeof value === 'object' && (Array.isArray(value) || isPlainObject(value))) return undefined;
  return { reason: 'NOT_JSON', description: 'is not a JSON value' };
}

function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

function scalarBytes(value: unknown): number {
  return typeof value === 'string' ? Buffer.byteLength(JSON.stringify(value)) : String(value).length;
}
