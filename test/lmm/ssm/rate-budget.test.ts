import assert from 'node:assert/strict';
import { createRateBudget } from '../../../services/lmm/transports/ssm/rate-budget.js';
import { createTestClock } from './test-clock.js';

const PER_SECOND = 10;
const SECONDS = 120;
const FULL = PER_SECOND * SECONDS;
const SLOWER_PER_SECOND = 3;

/** Asks as often as the budget allows, of a service that says of each request whether it throttles it. */
async function saturate(
  isThrottled: (nowMs: number) => boolean,
): Promise<{ readonly taken: number; readonly throttled: number }> {
  const clock = createTestClock();
  const budget = createRateBudget(PER_SECOND, clock);
  const seen = { taken: 0, throttled: 0 };
  const ask = (): void =>
    void budget.take().then(() => {
      seen.taken += 1;
      if (isThrottled(clock.now())) {
        seen.throttled += 1;
        budget.throttled();
      }
      ask();
    });
  ask();
  await clock.pass(SECONDS * 1000);
  return seen;
}

/** Numbers from 0 to below 1 that look random and are the same each time. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

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

  it('lowers the rate with each throttled request, and has all of it back five seconds after the last', async () => {
    const clock = createTestClock();
    const budget = createRateBudget(8, clock);
    budget.throttled();
    budget.throttled();
    assert.equal(budget.perSecond, 6);
    for (let count = 0; count < 50; count += 1) budget.throttled();
    assert.ok(budget.perSecond < 1, `${budget.perSecond}`);
    await clock.pass(2_500);
    assert.ok(budget.perSecond >= 4, `${budget.perSecond}`);
    await clock.pass(2_500);
    assert.equal(budget.perSecond, 8);
  });

  for (const [share, least] of [
    [0.1, 0.9],
    [0.2, 0.75],
    [0.4, 0.35],
  ] as const) {
    it(`still makes ${least * 100} % of the requests while ${share * 100} % are throttled at random`, async () => {
      const random = randomNumbers(7);
      const { taken } = await saturate(() => random() < share);
      assert.ok(taken >= least * FULL, `${taken} of ${FULL}`);
    });
  }

  it('uses what a slower service takes, and asks it in vain a fifth of the full rate at most', async () => {
    let tokens = 0;
    let atMs = 0;
    const { taken, throttled } = await saturate((nowMs) => {
      tokens = Math.min(SLOWER_PER_SECOND, tokens + ((nowMs - atMs) / 1000) * SLOWER_PER_SECOND);
      atMs = nowMs;
      if (tokens < 1) return true;
      tokens -= 1;
      return false;
    });
    const accepted = taken - throttled;
    assert.ok(accepted >= 0.9 * SLOWER_PER_SECOND * SECONDS, `${accepted} accepted`);
    // And the burst at the beginning.
    assert.ok(throttled <= 0.2 * FULL + PER_SECOND, `${throttled} throttled`);
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
