import type { Duration } from './gen/google/protobuf/duration.js';

/** Milliseconds as a protobuf Duration. */
export function toDuration(ms: number): Duration {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

/** A protobuf Duration in milliseconds, fractions kept. */
export function toMs(duration: Duration): number {
  return duration.seconds * 1000 + duration.nanos / 1e6;
}
