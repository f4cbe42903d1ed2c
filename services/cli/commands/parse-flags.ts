import { RuneError } from '../../shared/errors.js';
import { type ParamAssignment, parseAssignment } from '../params/parse-assignment.js';

/** A flag's names, given one a flag or joined by commas, added to those before. Throws COMMAND_INVALID for an empty name. */
export function collectNames(flag: string): (text: string, before?: readonly string[]) => string[] {
  return (text, before = []) => {
    const names = text.split(',').map((name) => name.trim());
    if (names.includes(''))
      throw new RuneError('COMMAND_INVALID', `${flag} ${JSON.stringify(text)}: a name is empty.`);
    return [...before, ...names];
  };
}

/** One label, `key=value`, added to those before. Throws COMMAND_INVALID for another form and for a key with two values. */
export function collectLabel(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const at = text.indexOf('=');
  const [key, value] = [text.slice(0, at), text.slice(at + 1)];
  if (at < 1) throw new RuneError('COMMAND_INVALID', `--select ${text}: write key=value.`);
  if (Object.hasOwn(before, key) && before[key] !== value) {
    throw new RuneError('COMMAND_INVALID', `--select ${text}: no node has two values of ${key}.`);
  }
  return { ...before, [key]: value };
}

/** A whole number above zero. Throws COMMAND_INVALID naming the flag. */
export function parseCount(flag: string): (text: string) => number {
  return (text) => {
    const count = /^\d+$/.test(text) ? Number(text) : 0;
    if (count >= 1 && count <= 0xffff_ffff) return count;
    throw new RuneError('COMMAND_INVALID', `${flag} ${text}: must be a whole number above zero.`);
  };
}

/** A number of nodes, `10`, or a share of them, `25%`, as the service reads it. Throws COMMAND_INVALID naming the flag. */
export function parseShare(flag: string): (text: string) => string {
  return (text) => {
    const [, count, percent] = /^(\d+)(%)?$/.exec(text) ?? [];
    const max = percent === undefined ? 0xffff_ffff : 100;
    if (count !== undefined && Number(count) <= max) return text;
    throw new RuneError(
      'COMMAND_INVALID',
      `${flag} ${text}: write a count such as 10, or a share such as 25%.`,
    );
  };
}

/** Adds one `--param` to those before it; see parseAssignment. */
export function collectAssignment(
  text: string,
  before: readonly ParamAssignment[] | undefined,
): ParamAssignment[] {
  return [...(before ?? []), parseAssignment(text)];
}
