/**
 * How a metric gets its values. `counted` and `observed`: as things happen, through a Meter. `total` and `gauge`: read from whoever
 * counts them anyway, when somebody asks.
 */
export type MetricKind = 'counted' | 'observed' | 'total' | 'gauge';

/** One metric as data, under its name in a MetricsSpec. */
export interface MetricSpec<K extends MetricKind = MetricKind, L extends string = string> {
  readonly kind: K;
  /** One sentence, which docs/operations.md shows too. */
  readonly help: string;
  /** Each takes few values, all of them ours: never a node, an id, or anything that a node printed. */
  readonly labels: readonly L[];
  /** Upper bounds of an observed one. */
  readonly buckets: readonly number[];
}

/** The metrics of a service by name. */
export type MetricsSpec = Readonly<Record<string, MetricSpec>>;

type NamesOf<S extends MetricsSpec, K extends MetricKind> = {
  [Name in keyof S]: S[Name]['kind'] extends K ? Name : never;
}[keyof S] &
  string;

/** The labels of a metric with a value each. */
export type LabelsOf<M extends MetricSpec> = Readonly<Record<M['labels'][number], string>>;

/** Takes note of what happens, for whoever measures the service. Never throws, and costs next to nothing. */
export interface Meter<S extends MetricsSpec> {
  count<Name extends NamesOf<S, 'counted'>>(name: Name, labels: LabelsOf<S[Name]>, by?: number): void;
  observe<Name extends NamesOf<S, 'observed'>>(name: Name, labels: LabelsOf<S[Name]>, value: number): void;
}

/** What reads the other metrics: a number, or one for each set of labels. */
export type ReadersOf<S extends MetricsSpec> = {
  readonly [Name in NamesOf<S, 'total' | 'gauge'>]: () =>
    number | Iterable<readonly [LabelsOf<S[Name]>, number]>;
};

/** The meter of a service that nobody measures. */
export const SILENT_METER: Meter<never> = { count: () => undefined, observe: () => undefined };

/** Something that happens, counted. */
export function counted<L extends string = never>(
  help: string,
  ...labels: readonly L[]
): MetricSpec<'counted', L> {
  return { kind: 'counted', help, labels, buckets: [] };
}

/** Something that happens and has a size, such as seconds. */
export function observed<L extends string = never>(
  help: string,
  buckets: readonly number[],
  ...labels: readonly L[]
): MetricSpec<'observed', L> {
  return { kind: 'observed', help, labels, buckets };
}

/** What somebody else has counted since the start. */
export function total<L extends string = never>(
  help: string,
  ...labels: readonly L[]
): MetricSpec<'total', L> {
  return { kind: 'total', help, labels, buckets: [] };
}

/** Something as it is at this moment. */
export function gauge<L extends string = never>(
  help: string,
  ...labels: readonly L[]
): MetricSpec<'gauge', L> {
  return { kind: 'gauge', help, labels, buckets: [] };
}
