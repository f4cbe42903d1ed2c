import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { LabelsOf, Meter, MetricSpec, MetricsSpec, ReadersOf } from './metric.js';

/** The metrics of one service as Prometheus reads them, with those of its process. */
export interface PrometheusMetrics<S extends MetricsSpec> {
  readonly meter: Meter<S>;
  readonly contentType: string;
  /** All of them as text. Rejects with what a reader throws. */
  text(readers: ReadersOf<S>): Promise<string>;
}

type Read = () => number | Iterable<readonly [Readonly<Record<string, string>>, number]>;

/** Makes them, all at nothing. */
export function createPrometheusMetrics<S extends MetricsSpec>(spec: S): PrometheusMetrics<S> {
  const registry = new Registry();
  const registers = [registry];
  const counters = new Map<string, Counter>();
  const histograms = new Map<string, Histogram>();
  const fills: ((readers: Readonly<Record<string, Read>>) => void)[] = [];

  const add = (name: string, { kind, help, labels, buckets }: MetricSpec): void => {
    const about = { name, help, labelNames: labels, registers };
    if (kind === 'counted') counters.set(name, new Counter(about));
    else if (kind === 'observed') histograms.set(name, new Histogram({ ...about, buckets: [...buckets] }));
    else {
      const metric = kind === 'total' ? new Counter(about) : new Gauge(about);
      fills.push((readers) => fill(metric, readers[name]?.() ?? []));
    }
  };
  for (const [name, metric] of Object.entries(spec)) add(name, metric);
  collectDefaultMetrics({ register: registry });

  return {
    contentType: registry.contentType,
    meter: {
      count: (name, labels: LabelsOf<MetricSpec>, by = 1) => counters.get(name)?.inc(labels, by),
      observe: (name, labels: LabelsOf<MetricSpec>, value) => histograms.get(name)?.observe(labels, value),
    },
    text(readers) {
      for (const fillOne of fills) fillOne(readers as Readonly<Record<string, Read>>);
      return registry.metrics();
    },
  };
}

/** Lets a metric have the values that were read, and no others. */
function fill(metric: Counter | Gauge, values: ReturnType<Read>): void {
  metric.reset();
  if (typeof values === 'number') metric.inc(values);
  else for (const [labels, value] of values) metric.inc(labels, value);
}
