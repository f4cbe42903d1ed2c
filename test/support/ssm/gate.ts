/** A limit that several share. */
export interface Gate {
  /** Whether there is room; if not, `again` is called once when there may be. */
  enter(again: () => void): boolean;
  leave(): void;
}

/** A gate that lets so many in at a time. */
export function createGate(most: number): Gate {
  const waiting = new Set<() => void>();
  let inside = 0;
  return {
    enter(again) {
      if (inside >= most) {
        waiting.add(again);
        return false;
      }
      inside += 1;
      return true;
    },
    leave() {
      inside -= 1;
      const [next] = waiting;
      if (next === undefined) return;
      waiting.delete(next);
      next();
    },
  };
}
