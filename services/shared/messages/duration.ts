import type { Duration } from '../gen/google/protobuf/duration.js';

/** Milliseconds as a protobuf Duration. */
export function toDuration(ms: number): Duration {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

/** A protobuf Duration in milliseconds, fractions kept. */
export function toMs(duration: Duration): number {
  return duration.seconds * 1000 + duration.nanos / 1e6;
}

const UNITS = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const;

/** Milliseconds as a person would write them, in the largest unit that leaves no rest, such as "24h", "90s" or "1500ms". */
export function durationText(ms: number): string {
  const [unit, size] = UNITS.find(([, size]) => ms !== 0 && ms % size === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}
