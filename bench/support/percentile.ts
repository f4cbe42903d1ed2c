/** The sample at this share (0 to 1) of all samples in order: 0.5 is the median. NaN without samples. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** p50, p90 and p99 of samples in milliseconds, for a person. */
export function describeTimes(samples: readonly number[]): string {
  return [0.5, 0.9, 0.99]
    .map((share) => `p${share * 100} ${percentile(samples, share).toFixed(1)} ms`)
    .join(', ');
}
