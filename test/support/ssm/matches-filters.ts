import { AwsError } from './aws-error.js';
import type { Input } from './input.js';

/** What filters of lists of commands look at. */
export interface Filtered {
  readonly requestedAtMs: number;
  readonly status: string;
  readonly details: string;
  readonly documentName: string;
  readonly isComplete: boolean;
}

const FILTERS_MAX = 5;

/** Reads a request's Filters and answers what tells whether an entry passes them all. */
export function filtersOf(input: Input): (entry: Filtered) => boolean {
  const filters = input.objects('Filters', FILTERS_MAX).map(({ key, value }) => ({
    key: String(key),
    value: String(value),
  }));
  for (const { key } of filters) {
    if (!['InvokedAfter', 'InvokedBefore', 'Status', 'DocumentName', 'ExecutionStage'].includes(key))
      throw new AwsError('InvalidFilterKey', `The specified key ${key} is not valid.`);
  }
  return (entry) =>
    filters.every(({ key, value }) => {
      switch (key) {
        case 'InvokedAfter':
          return entry.requestedAtMs > Date.parse(value);
        case 'InvokedBefore':
          return entry.requestedAtMs < Date.parse(value);
        case 'Status':
          return entry.status === value || entry.details === value;
        case 'DocumentName':
          return entry.documentName === value;
        default:
          return entry.isComplete === (value === 'Complete');
      }
    });
}
