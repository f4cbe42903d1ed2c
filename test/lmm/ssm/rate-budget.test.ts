import assert from 'node:assert/strict';
import { createRateBudget } from '../../../services/lmm/transports/ssm/rate-budget.js';
import { createTestClock } from './test-clock.js';

describe('the rate budget of Systems Manager', () => {
  it('lets a burst of one second through, then so many requests a second, in the order of asking', async () => {
    const clock = createTestClock();
    const budget = createRateBudget(10, clock);
    const taken: number[] = [];
    for (let index = 0; index < 30; index += 1) void budget.take().then(() => taken.push(index));
    await clock.pass(0);
    assert.equal(taken.length, 10);
    await clock.pass(1_000);
    assert.equal(taken.length, 20);
    await clock.pass(1_000);
    assert.deepEqual(
      taken,
      Array.from({ length: 30 }, (_, index) => index),
    );
  });

  it('halves the rate when the service throttles, once for a burst, and comes back to it', async () => {
    const clock = createTestClock();
    const budget = createRateBudget(8, clock);
    budget.throttled();
    budget.throttled();
    assert.equal(budget.perSecond, 4);
    await clock.pass(1_500);
    budget.throttled();
    assert.ok(budget.perSecond < 2.5, `${budget.perSecond}`);
    await clock.pass(60_000);
    assert.equal(budget.perSecond, 8);
  });

  it('never stops altogether, however often it is throttled', async () => {
    const clock = createTestClock();
    const budget = createRateBudget(1, clock);
    for (let round = 0; round < 20; round += 1) {
      budget.throttled();
      await clock.pass(1_001);
    }
    let taken = 0;
    for (let index = 0; index < 3; index += 1) void budget.take().then(() => (taken += 1));
    await clock.pass(10_000);
    assert.equal(taken, 3);
  });

  it('lets nobody wait who has given up', async () => {
    const clock = createTestClock();
    const budget = createRateBudget(1, clock);
    await budget.take();
    const controller = new AbortController();
    const gone = budget.take(controller.signal);
    let isNextServed = false;
    void budget.take().then(() => (isNextServed = true));
    controller.abort(new Error('given up'));
    await assert.rejects(gone, /given up/);
    await clock.pass(1_000);
    assert.ok(isNextServed);
    await assert.rejects(budget.take(controller.signal), /given up/);
  });
});
