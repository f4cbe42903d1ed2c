/** Says whether a call by this name fits into its rate. */
export type CallRate = (name: string, nowMs: number) => boolean;

/** Token buckets by operation: so many calls a second, and as many at once. Operations without a rate always fit. */
export function createCallRate(ratesPerSecond: Readonly<Record<string, number>>): CallRate {
  const buckets = new Map<string, { tokens: number; atMs: number }>();
  return (name, nowMs) => {
    const rate = ratesPerSecond[name];
    if (rate === undefined) return true;
    const bucket = buckets.get(name) ?? { tokens: rate, atMs: nowMs };
    bucket.tokens = Math.min(rate, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * rate);
    bucket.atMs = nowMs;
    buckets.set(name, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  };
}
