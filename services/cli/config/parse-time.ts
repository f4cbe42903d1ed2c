import { RuneError } from '../../shared/errors.js';
import { parseDuration } from './parse-duration.js';

const DAY_MS = 86_400_000;
const DATE = /^\d{4}-\d\d-\d\d$/;
const DATE_TIME = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)?$/;

/** A time as it is written: so many milliseconds ago, or a date. */
export type TimePoint = { readonly agoMs: number } | { readonly at: Date };

/**
 * "2h" or "7d" before now, or a date, "2026-01-31", with a time, "2026-01-31T14:05:00Z", of the local zone if it names none. Throws
 * COMMAND_INVALID naming `flag`.
 */
export function parseTime(flag: string): (text: string) => TimePoint {
  return (text) => {
    const days = /^([1-9]\d{0,5})d$/.exec(text)?.[1];
    if (days !== undefined) return { agoMs: Number(days) * DAY_MS };
    if (/^[\d.]+(?:ms|s|m|h)/.test(text)) return { agoMs: parseDuration(text, flag) };
    const at = new Date(DATE.test(text) ? `${text}T00:00` : DATE_TIME.test(text) ? text : Number.NaN);
    if (!Number.isNaN(at.getTime())) return { at };
    throw new RuneError(
      'COMMAND_INVALID',
      `${flag} ${text}: write how long ago, such as 30m, 2h or 7d, or a time such as 2026-01-31T14:05 or 2026-01-31.`,
    );
  };
}

/** The time that is meant, `nowMs` being Unix milliseconds. */
export function timeOf(point: TimePoint, nowMs: number): Date {
  return 'at' in point ? point.at : new Date(nowMs - point.agoMs);
}
