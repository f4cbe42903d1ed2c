import { fieldName } from '../../../shared/fault.js';
import type { FaultPath } from '../../../shared/fault.js';

const SHOWN_CHARS_MAX = 200;
const DIFFERENCES_MAX = 20;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length <= SHOWN_CHARS_MAX ? text : `${text.slice(0, SHOWN_CHARS_MAX)}…`;
}

/**
 * Where the actual output differs from a part of it that was expected, one sentence each. `exact`: values are compared, and
 * lists must have the same length; `shape`: keys and types only, and each item of a list must be like the first expected one.
 */
export function compareOutput(expected: unknown, actual: unknown, compare: 'exact' | 'shape'): string[] {
  const found: string[] = [];
  const add = (path: FaultPath, sentence: string): void => {
    if (found.length < DIFFERENCES_MAX) found.push(`${fieldName('output', path)}: ${sentence}`);
  };
  const visit = (path: FaultPath, wanted: unknown, got: unknown): void => {
    if (isObject(wanted) && isObject(got)) {
      for (const [key, value] of Object.entries(wanted)) {
        if (Object.hasOwn(got, key)) visit([...path, key], value, got[key]);
        else add([...path, key], `expected ${shown(value)}, is not there`);
      }
    } else if (Array.isArray(wanted) && Array.isArray(got)) {
      if (compare === 'shape') {
        if (wanted.length > 0) got.forEach((item, index) => visit([...path, index], wanted[0], item));
      } else if (wanted.length === got.length) {
        wanted.forEach((item, index) => visit([...path, index], item, got[index]));
      } else add(path, `expected ${wanted.length} items, got ${got.length}: ${shown(got)}`);
    } else if (compare === 'shape') {
      if (typeOf(wanted) !== typeOf(got)) add(path, `expected ${typeOf(wanted)}, got ${shown(got)}`);
    } else if (wanted !== got) add(path, `expected ${shown(wanted)}, got ${shown(got)}`);
  };
  visit([], expected, actual);
  return found;
}
