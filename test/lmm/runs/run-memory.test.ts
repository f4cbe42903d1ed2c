import assert from 'node:assert/strict';
import { createRunMemory, type RunMemory } from '../../../services/lmm/runs/run-memory.js';

const NOW_MS = Date.UTC(2026, 0, 1);

/** A UUID of version 7 that was made at this time. */
function idOf(madeMs: number): string {
  const time = madeMs.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`;
}
const RANDOM_ID = 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa';
const started = { ownerEpoch: 0, started: true };

const memoryOf = (...runIds: string[]): RunMemory => {
  const memory = createRunMemory(2, () => NOW_MS);
  for (const runId of runIds) memory.remember(runId, started);
  return memory;
};

describe('what is remembered of run ids', () => {
  it('is proof of everything while nothing had to be forgotten', () => {
    const memory = memoryOf(idOf(NOW_MS), idOf(NOW_MS - 5));
    assert.deepEqual(memory.find(idOf(NOW_MS)), { ...started, seenMs: NOW_MS });
    for (const runId of [idOf(1), idOf(NOW_MS + 1), RANDOM_ID])
      assert.deepEqual([memory.find(runId), memory.isNew(runId)], [undefined, true]);
  });

  it('is proof only for ids that are younger than all that were forgotten', () => {
    const memory = memoryOf(idOf(NOW_MS - 30), idOf(NOW_MS - 40), idOf(NOW_MS - 10), idOf(NOW_MS - 5));
    assert.equal(memory.find(idOf(NOW_MS - 30)), undefined);
    for (const [madeMs, isNew] of [
      [NOW_MS - 50, false],
      [NOW_MS - 30, false],
      [NOW_MS - 29, true],
    ] as const) {
      assert.equal(memory.isNew(idOf(madeMs)), isNew, `${NOW_MS - madeMs} ms old`);
      assert.equal(memory.isStale(idOf(madeMs)), !isNew, `${NOW_MS - madeMs} ms old`);
    }
    assert.ok(memory.find(idOf(NOW_MS - 10)));
  });

  it('is no proof for ids that do not tell when they were made, which may be started all the same', () => {
    const memory = memoryOf(idOf(1), idOf(2), idOf(3));
    assert.deepEqual([memory.isNew(RANDOM_ID), memory.isStale(RANDOM_ID)], [false, false]);
  });

  it('does not keep anybody from starting runs because of ids from a clock that was ahead', () => {
    const memory = memoryOf(idOf(NOW_MS + 3_600_000), idOf(2), idOf(3));
    assert.equal(memory.isNew(idOf(NOW_MS + 1)), false);
    assert.equal(memory.isStale(idOf(NOW_MS + 1)), false);
    assert.equal(memory.isStale(idOf(NOW_MS)), true);
  });

  it('forgets the id that was not heard of for longest', () => {
    const memory = memoryOf(idOf(1), idOf(2));
    memory.remember(idOf(1), { ownerEpoch: 4, started: true });
    memory.remember(idOf(3), started);
    assert.equal(memory.find(idOf(1))?.ownerEpoch, 4);
    assert.equal(memory.find(idOf(2)), undefined);
  });

  it('has forgotten nothing when an id is kept elsewhere', () => {
    const memory = memoryOf(idOf(1), idOf(2));
    memory.take(idOf(1));
    memory.remember(idOf(3), started);
    assert.equal(memory.isNew(idOf(0)), true);
  });
});
