/** A time for people: "2026-01-31T14:05:00Z", or "-" where there is none. */
export function formatTime(time: Date | undefined): string {
  return time === undefined ? '-' : `${time.toISOString().slice(0, 19)}Z`;
}
