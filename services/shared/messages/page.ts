import { RuneError } from '../errors.js';

const PAGE_SIZE_DEFAULT = 100;
const PAGE_SIZE_MAX = 1000;
const PAGE_BYTES_MAX = 1024 * 1024;

/** How many items a page holds, for what a request asks. Throws FIELD_OUT_OF_RANGE. */
export function pageSizeOf(asked: number): number {
  if (asked <= PAGE_SIZE_MAX) return asked || PAGE_SIZE_DEFAULT;
  throw new RuneError('FIELD_OUT_OF_RANGE', 'The page size is too large.', {
    field: 'page_size',
    originalValue: String(asked),
    expectedFormat: `1 to ${PAGE_SIZE_MAX}`,
  });
}

/**
 * One page of a list that is sorted by name. The token is the last name of the page before: stable while items come and go. With
 * `bytesOf`, a page ends after 1 MiB too, so that it fits into a message; it holds at least one item.
 */
export function pageOf<T>(
  items: readonly T[],
  nameOf: (item: T) => string,
  request: { readonly pageSize: number; readonly pageToken: string },
  bytesOf: (item: T) => number = () => 0,
): { items: T[]; nextPageToken: string } {
  const size = pageSizeOf(request.pageSize);
  const after = Buffer.from(request.pageToken, 'base64url').toString();
  const start = after === '' ? 0 : items.findIndex((item) => nameOf(item) > after);
  if (start < 0) return { items: [], nextPageToken: '' };
  const page: T[] = [];
  let bytes = 0;
  for (const item of items.slice(start, start + size)) {
    bytes += bytesOf(item);
    if (bytes > PAGE_BYTES_MAX && page.length > 0) break;
    page.push(item);
  }
  const last = page.at(-1);
  const more = last !== undefined && start + page.length < items.length;
  return { items: page, nextPageToken: more ? Buffer.from(nameOf(last)).toString('base64url') : '' };
}
