/** What a row has to reach: ours divided by the baseline, at most or at least this. */
export interface Target {
  readonly relation: '<=' | '>=';
  readonly ratio: number;
}

/** One line of the report. */
export interface Row {
  readonly name: string;
  /** Of `ours` and `baseline`. */
  readonly unit: string;
  readonly ours: number;
  /** NaN when there was nothing to compare with; then `reason` says why. */
  readonly baseline: number;
  /** ours / baseline. */
  readonly ratio: number;
  readonly target: Target;
  readonly pass: boolean;
  readonly reason?: string;
}

/** What a row is given. */
export interface Bench {
  /** Aborts when the person at the terminal has had enough. */
  readonly signal: AbortSignal;
  /** Says something to the person who waits; never part of the result. */
  readonly say: (text: string) => void;
}

/** Judges two figures that were measured in the same run. */
export function makeRow(figures: Pick<Row, 'name' | 'unit' | 'ours' | 'baseline' | 'target'>): Row {
  const { ours, baseline, target } = figures;
  const ratio = ours / baseline;
  return {
    ...figures,
    ratio,
    pass: target.relation === '<=' ? ratio <= target.ratio : ratio >= target.ratio,
  };
}

/** A row whose peer is missing: it fails, and says what is missing. */
export function rowWithoutPeer(
  figures: Omit<Parameters<typeof makeRow>[0], 'baseline'>,
  reason: string,
): Row {
  return { ...makeRow({ ...figures, baseline: Number.NaN }), reason };
}
