import type { MetricsSpec } from '../../services/shared/metrics/metric.js';

const TYPES = { counted: 'counter', total: 'counter', observed: 'histogram', gauge: 'gauge' } as const;

/** The metrics of a service as the table of docs/operations.md, without padding. */
export function metricsTable(spec: MetricsSpec): string[] {
  return [
    '|metric|type|labels|what it means|',
    '|---|---|---|---|',
    ...Object.entries(spec).map(([name, { kind, labels, help }]) => {
      const shown = labels.map((label) => `\`${label}\``).join(', ');
      return `|\`${name}\`|${TYPES[kind]}|${shown}|${help}|`;
    }),
  ];
}
