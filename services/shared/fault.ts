import type { ValidationError } from './gen/rune/v1/eps.js';

/** Where in a JSON value: property names and array indexes from the root. */
export type FaultPath = readonly (string | number)[];

/** One thing that is wrong with a value. `reason` is the broken rule in UPPER_SNAKE, `description` follows the field's name. */
export interface Fault {
  readonly path: FaultPath;
  readonly reason: string;
  readonly description: string;
}

/** How many faults an error lists; the rest is only counted. */
export const FAULTS_LISTED_MAX = 20;

const NAME_CHARS_MAX = 64;
const FIELD_CHARS_MAX = 300;
const PLAIN_NAME = /^[A-Za-z_$][A-Za-z0-9_$-]*$/;

/** A path as people write it, such as `params.disks[2].mount`. Names of the caller's are escaped and cut. */
export function fieldName(root: string, path: FaultPath): string {
  let field = root;
  for (const part of path) {
    if (typeof part === 'number') field += `[${part}]`;
    else if (part.length <= NAME_CHARS_MAX && PLAIN_NAME.test(part)) field += `.${part}`;
    else field += `[${quoted(part)}]`;
    if (field.length > FIELD_CHARS_MAX) return `${field.slice(0, FIELD_CHARS_MAX)}…`;
  }
  return field;
}

/** A name that somebody else chose, as a JSON string of bounded length. */
export function quoted(name: string): string {
  return JSON.stringify(name.length <= NAME_CHARS_MAX ? name : `${name.slice(0, NAME_CHARS_MAX)}…`);
}

/** The fault as the protocol carries it. */
export function toValidationError(root: string, fault: Fault): ValidationError {
  return { field: fieldName(root, fault.path), description: fault.description, reason: fault.reason };
}

/** The path as a JSON pointer in a URI fragment, such as `#/properties/lines`. */
export function pointerOf(path: FaultPath): string {
  return `#${path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')}`;
}

/** The parts of a pointer made by pointerOf; array indexes come back as text. */
export function pathOfPointer(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}
