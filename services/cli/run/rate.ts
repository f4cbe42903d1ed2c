/** A rate is of so long before now … */
const WINDOW_MS = 30_000;
/** … counted in parts of so long, … */
const PART_MS = 1_000;
/** … and is not told before so long has passed. */
const FIRST_MS = 2_000;

/** How fast something happens. */
export interface Rate {
  /** It happened once. */
  note(nowMs: number): void;
  /** Per second; undefined as long as it would be a guess. */
  perSecond(nowMs: number): number | undefined;
}

/** The rate of nothing yet. Its memory does not grow. */
export function createRate(): Rate {
  const parts: { readonly fromMs: number; count: number }[] = [];
  let sinceMs: number | undefined;
  const forget = (nowMs: number) => {
    while ((parts[0]?.fromMs ?? nowMs) < nowMs - WINDOW_MS) parts.shift();
  };
  return {
    note(nowMs) {
      sinceMs ??= nowMs;
      forget(nowMs);
      const last = parts.at(-1);
      if (last !== undefined && nowMs - last.fromMs < PART_MS) last.count += 1;
      else parts.push({ fromMs: nowMs, count: 1 });
    },
    perSecond(nowMs) {
      forget(nowMs);
      const spanMs = Math.min(WINDOW_MS, nowMs - (sinceMs ?? nowMs));
      if (spanMs < FIRST_MS) return undefined;
      return parts.reduce((sum, { count }) => sum + count, 0) / (spanMs / 1000);
    },
  };
}
