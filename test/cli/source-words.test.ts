import assert from 'node:assert/strict';
import { sourceAge, staleSources } from '../../services/cli/catalogue/source-words.js';

const NOW_MS = 1_800_000_000_000;
const source = (problem: string): Parameters<typeof sourceAge>[0] => ({
  name: 'cmdb',
  kind: 'url',
  readAt: new Date(NOW_MS - 720_000),
  problem,
});

describe('what is told of inventory sources', () => {
  it('is their age', () => {
    assert.equal(sourceAge(source(''), NOW_MS), 'cmdb, read 12 min ago');
  });

  it('and why nothing newer is in use, only where that is so', () => {
    assert.deepEqual(staleSources([source(''), source('the address answered 500')], NOW_MS), [
      'inventory: cmdb, read 12 min ago; since then: the address answered 500',
    ]);
  });

  it('a clock that runs behind makes no age below zero', () => {
    assert.equal(sourceAge(source(''), NOW_MS - 900_000), 'cmdb, read 0 s ago');
  });

  it('what a program said cannot reach the terminal as it is', () => {
    assert.ok(
      !staleSources([source('the program ended with 1: \u001b[2J')], NOW_MS)
        .join()
        .includes('\u001b'),
    );
  });
});
