/** Numbers that a seed decides. */
export interface Random {
  /** A whole number from `min` to `max`, both included. */
  int(min: number, max: number): number;
  /** One of the items; the list must not be empty. */
  pick<T>(items: readonly T[]): T;
  /** True in this share of the cases, 0 to 1. */
  chance(share: number): boolean;
  /** So many different items, in random order; fewer where there are fewer. */
  some<T>(count: number, items: readonly T[]): T[];
  /** Another source with numbers of its own, which do not depend on how many were taken here. */
  fork(name: string): Random;
}

const UINT32 = 2 ** 32;

/** Makes a source of numbers (mulberry32): the same seed gives the same numbers. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / UINT32;
  };
  const int = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1));
  return {
    int,
    pick<T>(items: readonly T[]): T {
      if (items.length === 0) throw new Error('There is nothing to pick from.');
      return items[int(0, items.length - 1)] as T;
    },
    chance: (share) => next() < share,
    some<T>(count: number, items: readonly T[]): T[] {
      const left = [...items];
      return Array.from(
        { length: Math.min(count, left.length) },
        () => left.splice(int(0, left.length - 1), 1)[0] as T,
      );
    },
    fork: (name) =>
      seededRandom(Buffer.from(name).reduce((sum, byte) => Math.imul(sum, 31) + byte, seed | 0)),
  };
}
