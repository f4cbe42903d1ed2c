import { RuneError } from '../../shared/errors.js';

/** More than any inventory has; a range is a short text. */
const HOSTS_MAX = 100_000;
const RANGE = /^(.*?)\[(?:(\d+):(\d+)|([a-z]):([a-z])|([A-Z]):([A-Z]))(?::(\d+))?\](.*)$/s;

/** The names that a pattern such as `web[01:10].example.org` or `db-[a:f]` stands for. Throws COMMAND_INVALID for too many. */
export function expandRange(pattern: string): string[] {
  let done: string[] = [''];
  let rest = pattern;
  for (let match = RANGE.exec(rest); match !== null; match = RANGE.exec(rest)) {
    const [, before = '', from, to, lower, lowerEnd, upper, upperEnd, step = '1', after = ''] = match;
    const parts =
      from !== undefined && to !== undefined
        ? numbers(from, to, Number(step))
        : letters(lower ?? upper ?? '', lowerEnd ?? upperEnd ?? '', Number(step));
    if (done.length * parts.length > HOSTS_MAX) throw tooMany(pattern);
    done = done.flatMap((name) => parts.map((part) => `${name}${before}${part}`));
    rest = after;
  }
  return done.map((name) => `${name}${rest}`);
}

/** `01:10` keeps its zeros. */
function numbers(from: string, to: string, step: number): string[] {
  const width = from.startsWith('0') ? from.length : 0;
  return count(Number(from), Number(to), step).map((value) => String(value).padStart(width, '0'));
}

function letters(from: string, to: string, step: number): string[] {
  return count(from.charCodeAt(0), to.charCodeAt(0), step).map((code) => String.fromCharCode(code));
}

function count(first: number, last: number, step: number): number[] {
  const length = step < 1 ? 0 : Math.max(0, Math.floor((last - first) / step) + 1);
  if (length > HOSTS_MAX) throw tooMany(`[${first}:${last}]`);
  return Array.from({ length }, (_, index) => first + index * step);
}

function tooMany(pattern: string): RuneError {
  return new RuneError('COMMAND_INVALID', `${pattern} stands for more than ${HOSTS_MAX} hosts.`);
}
