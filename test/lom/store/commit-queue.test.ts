import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { createCommitQueue, type CommitQueue } from '../../../services/lom/store/commit-queue.js';
import type { EventKind, ExecutionChange } from '../../../services/lom/store/store.js';
import { recordingLogger } from '../../support/recording-logger.js';

const GROUP_BYTES = 1024 * 1024;
const FLOOD_BYTES = 64 * 1024;

const change = (seq: number, bytes: number, kind: EventKind = 'log'): ExecutionChange => ({
  executionId: 'one',
  epoch: 1,
  events: [{ seq, node: 'web01', kind, body: Buffer.alloc(bytes) }],
  runs: [],
});
const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
};

describe('what is written in a flood of log', () => {
  let groups: number[][];
  let queue: CommitQueue;

  beforeEach(async () => {
    // Time stands still but for what a test lets pass.
    mock.timers.enable({ apis: ['setTimeout'] });
    groups = [];
    const commit = async (changes: readonly ExecutionChange[]): Promise<ReadonlySet<string>> => {
      groups.push(changes.flatMap(({ events }) => events.map(({ seq }) => seq)));
      return new Set();
    };
    const { logger } = recordingLogger();
    queue = createCommitQueue({ commit }, { bytesMax: 4 * GROUP_BYTES, groupBytesMax: GROUP_BYTES }, logger);
    await queue.add(change(1, FLOOD_BYTES));
  });

  afterEach(() => mock.timers.reset());

  it('waits for more of it, but not for long', async () => {
    const second = queue.add(change(2, 10));
    await turns(5);
    const third = queue.add(change(3, 10, 'progress'));
    await turns(5);
    assert.deepEqual(groups, [[1]]);
    mock.timers.tick(10);
    await Promise.all([second, third]);
    assert.deepEqual(groups, [[1], [2, 3]]);
  });

  it('is written at once when something comes that is no log', async () => {
    const second = queue.add(change(2, 10));
    await turns(5);
    await Promise.all([second, queue.add(change(3, 10, 'outcome'))]);
    assert.deepEqual(groups, [[1], [2, 3]]);
  });

  it('is written at once when it is a transaction full', async () => {
    const second = queue.add(change(2, 10));
    await turns(5);
    await Promise.all([second, queue.add(change(3, GROUP_BYTES - 10))]);
    assert.deepEqual(groups, [[1], [2, 3]]);
  });

  it('does not wait any more when the flood is over', async () => {
    const second = queue.add(change(2, 10));
    await turns(5);
    mock.timers.tick(10);
    await second;
    await queue.add(change(3, 10));
    assert.deepEqual(groups, [[1], [2], [3]]);
  });
});
