import { setTimeout as delay } from 'node:timers/promises';
import { timed } from './timed.js';

/** Two things to compare and how often. */
export interface Pairs {
  readonly ours: () => Promise<unknown>;
  readonly baseline: () => Promise<unknown>;
  /** Pairs that are not counted, before the others. */
  readonly warmUp: number;
  readonly count: number;
  /** After each action: what it leaves behind (channels closing, processes ending) is not to be charged to the other one. */
  readonly settleMs: number;
  readonly signal: AbortSignal;
}

/** Times of both, in milliseconds, in the order of the pairs. */
export interface PairTimes {
  readonly ours: readonly number[];
  readonly baseline: readonly number[];
}

/** Measures both in turns, so that whatever else the machine does meets both alike; who goes first changes with every pair. */
export async function inPairs(pairs: Pairs): Promise<PairTimes> {
  const times = { ours: [] as number[], baseline: [] as number[] };
  for (let index = -pairs.warmUp; index < pairs.count; index++) {
    const order = index % 2 === 0 ? (['ours', 'baseline'] as const) : (['baseline', 'ours'] as const);
    for (const which of order) {
      pairs.signal.throwIfAborted();
      const tookMs = await timed(pairs[which]);
      if (index >= 0) times[which].push(tookMs);
      await delay(pairs.settleMs);
    }
  }
  return times;
}
