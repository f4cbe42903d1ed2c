import assert from 'node:assert/strict';
import { pageOf } from '../../../services/shared/messages/page.js';

const KIB = 1024;
const nameOf = ({ name }: { name: string }): string => name;
const bytesOf = ({ bytes }: { bytes: number }): number => bytes;

/** The names on each page. */
function pagesOf(items: readonly { name: string; bytes: number }[], pageSize: number): string[][] {
  const pages: string[][] = [];
  let pageToken = '';
  do {
    const page = pageOf(items, nameOf, { pageSize, pageToken }, bytesOf);
    pages.push(page.items.map(nameOf));
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && pages.length <= items.length);
  return pages;
}

describe('pages of a list', () => {
  const items = [400, 500, 200, 2000, 1, 2].map((kib, index) => ({ name: `n${index}`, bytes: kib * KIB }));

  it('end after a mebibyte, hold at least one item, and lose none', () => {
    assert.deepEqual(pagesOf(items, 0), [['n0', 'n1'], ['n2'], ['n3'], ['n4', 'n5']]);
  });

  it('end after as many items as were asked for', () => {
    assert.deepEqual(pagesOf(items, 1).flat(), items.map(nameOf));
    assert.deepEqual(pagesOf(items.slice(4), 2), [['n4', 'n5']]);
  });
});
