/** A bounded number of places that several parties share. */
export interface FairSlots {
  /**
   * Waits for a place; the function gives it back. Those who wait get places in turns, one party after the other, so that a party
   * with many does not keep out one with few. Rejects with the signal's reason when it aborts first.
   */
  take(party: string, signal: AbortSignal): Promise<() => void>;
  /** A place if one is free, which it is only while nobody waits. */
  takeFree(): (() => void) | undefined;
}

/** Makes so many places. */
export function createFairSlots(total: number): FairSlots {
  let free = total;
  // In the order of their turns.
  const parties = new Map<string, Set<() => void>>();

  const serve = (): void => {
    while (free > 0) {
      const [next] = parties;
      if (next === undefined) return;
      const [party, waiting] = next;
      const [first] = waiting;
      parties.delete(party);
      if (first === undefined) continue;
      waiting.delete(first);
      if (waiting.size > 0) parties.set(party, waiting);
      free -= 1;
      first();
    }
  };

  const giveBack = (): (() => void) => {
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      free += 1;
      serve();
    };
  };

  const takeFree = (): (() => void) | undefined => {
    // Nobody waits while places are free.
    if (free === 0) return undefined;
    free -= 1;
    return giveBack();
  };

  return {
    takeFree,
    take: (party, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        const place = takeFree();
        if (place !== undefined) return resolve(place);
        const waiting = parties.get(party) ?? new Set();
        const onAbort = (): void => {
          waiting.delete(onTurn);
          reject(signal.reason);
        };
        const onTurn = (): void => {
          signal.removeEventListener('abort', onAbort);
          resolve(giveBack());
        };
        signal.addEventListener('abort', onAbort, { once: true });
        parties.set(party, waiting.add(onTurn));
      }),
  };
}
