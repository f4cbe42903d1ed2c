const NAME_CHARS_MAX = 64;
/** Edits that still count as a slip, by the length of the name: a short name is soon another one. */
const DISTANCES_MAX = [0, 0, 1, 1, 2];

/**
 * The candidate that `name` most likely meant: equal but for letter case, or at most two edits away (one in a short name).
 * Undefined if none is near.
 */
function suggest(name: string, candidates: Iterable<string>): string | undefined {
  if (name.length === 0 || name.length > NAME_CHARS_MAX) return undefined;
  const wanted = name.toLowerCase();
  let limit = DISTANCES_MAX[Math.min(wanted.length, DISTANCES_MAX.length - 1)] ?? 0;
  let best: string | undefined;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, candidate.toLowerCase(), limit);
    if (distance === 0) return candidate;
    if (distance < limit || (best === undefined && distance === limit)) {
      best = candidate;
      limit = distance;
    }
  }
  return best;
}

/** Text to put after "is not known", such as `; did you mean "lines"?`; empty without a near candidate. */
export function didYouMean(name: string, candidates: Iterable<string>): string {
  const near = suggest(name, candidates);
  return near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`;
}

/**
 * Insertions, deletions, replacements and swaps of neighbours between two texts; anything over `limit` as `limit + 1`. Looks
 * only at what can stay within the limit: a request may name many things that are not there.
 */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: limit + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current: number[] = i <= limit ? [i] : [];
    let nearest = at(current, 0);
    for (let j = Math.max(1, i - limit); j <= Math.min(b.length, i + limit); j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let distance = Math.min(at(previous, j) + 1, at(current, j - 1) + 1, at(previous, j - 1) + cost);
      if (a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, at(beforePrevious, j - 2) + 1);
      }
      current[j] = distance;
      nearest = Math.min(nearest, distance);
    }
    if (nearest > limit) return limit + 1;
    beforePrevious = previous;
    previous = current;
  }
  return Math.min(at(previous, b.length), limit + 1);
}

const at = (row: readonly number[], index: number): number => row[index] ?? Infinity;
