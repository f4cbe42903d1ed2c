import { AwsError } from './aws-error.js';
import type { Input } from './input.js';

/** The part of a list that MaxResults and NextToken ask for, and the token of the next part. */
export function pageOf<T>(
  items: readonly T[],
  input: Input,
  bounds: { readonly least: number; readonly most: number; readonly usual: number },
): { readonly items: readonly T[]; readonly NextToken?: string } {
  const count = input.number('MaxResults', bounds.least, bounds.most) ?? bounds.usual;
  const token = input.text('NextToken');
  const from = token === undefined ? 0 : Number(/^page-(\d+)$/.exec(token)?.[1] ?? NaN);
  if (Number.isNaN(from)) throw new AwsError('InvalidNextToken', 'The specified token is not valid.');
  const next = from + count;
  return {
    items: items.slice(from, next),
    ...(next < items.length ? { NextToken: `page-${next}` } : {}),
  };
}
