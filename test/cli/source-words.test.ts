import assert from 'node:assert/strict';
import { sourceAge, sourceLines } from '../../services/cli/catalogue/source-words.js';

const NOW_MS = 1_800_000_000_000;
const source = (problem: string, notes: string[] = []): Parameters<typeof sourceAge>[0] => ({
  name: 'cmdb',
  kind: 'url',
  readAt: new Date(NOW_MS - 720_000),
  problem,
  notes,
});

describe('what is told of inventory sources', () => {
  it('is their age', () => {
    assert.equal(sourceAge(source(''), NOW_MS), 'cmdb, read 12 min ago');
  });

  it('and why nothing newer is in use, only where that is so', () => {
    assert.deepEqual(sourceLines([source(''), source('the address answered 500')], NOW_MS), [
      'inventory: cmdb, read 12 min ago; since then: the address answered 500',
    ]);
  });

  it('and what else is to be known of what one said', () => {
    assert.deepEqual(
      sourceLines([source('', ['left out, since they have no public address: i-1'])], NOW_MS),
      ['inventory: cmdb: left out, since they have no public address: i-1'],
    );
    assert.ok(
      !sourceLines([source('', ['\u001b[2J'])], NOW_MS)
        .join()
        .includes('\u001b'),
    );
  });

  it('a clock that runs behind makes no age below zero', () => {
    assert.equal(sourceAge(source(''), NOW_MS - 900_000), 'cmdb, read 0 s ago');
  });

  it('what a program said cannot reach the terminal as it is', () => {
    assert.ok(
      !sourceLines([source('the program ended with 1: \u001b[2J')], NOW_MS)
        .join()
        .includes('\u001b'),
    );
  });
});
