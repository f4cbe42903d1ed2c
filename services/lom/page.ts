import { RuneError } from '../shared/errors.js';

const PAGE_SIZE_DEFAULT = 100;
const PAGE_SIZE_MAX = 1000;

/** One page of a list that is sorted by name. The token is the last name of the page before: stable while items come and go. */
export function pageOf<T>(
  items: readonly T[],
  nameOf: (item: T) => string,
  request: { readonly pageSize: number; readonly pageToken: string },
): { items: T[]; nextPageToken: string } {
  if (request.pageSize > PAGE_SIZE_MAX) {
    throw new RuneError('FIELD_OUT_OF_RANGE', 'The page size is too large.', {
      field: 'page_size',
      originalValue: String(request.pageSize),
      expectedFormat: `1 to ${PAGE_SIZE_MAX}`,
    });
  }
  const size = request.pageSize || PAGE_SIZE_DEFAULT;
  const after = Buffer.from(request.pageToken, 'base64url').toString();
  const start = after === '' ? 0 : items.findIndex((item) => nameOf(item) > after);
  if (start < 0) return { items: [], nextPageToken: '' };
  const page = items.slice(start, start + size);
  const last = page.at(-1);
  const more = last !== undefined && start + size < items.length;
  return { items: page, nextPageToken: more ? Buffer.from(nameOf(last)).toString('base64url') : '' };
}
