import assert from 'node:assert/strict';
import { progressLine } from '../../services/cli/run/progress-line.js';
import { createRate } from '../../services/cli/run/rate.js';
import { RunState } from '../../services/shared/gen/rune/v1/run.js';

const facts = {
  total: 10_000,
  ended: new Map<RunState, number>(),
  active: 0,
  elapsedMs: 0,
  perSecond: undefined,
};

describe('the progress of many runs', () => {
  it('counts states, and says how fast it goes and how long it will take', () => {
    const ended = new Map([
      [RunState.FAILED, 10],
      [RunState.SUCCEEDED, 1190],
    ]);
    assert.equal(
      progressLine({ ...facts, ended, active: 100, elapsedMs: 29_000, perSecond: 41.4 }),
      '1200 of 10000 done (1190 succeeded, 10 failed), 100 running, 8700 waiting, 41 a second, about 3 min 33 s left, 29 s',
    );
  });

  it('leaves out what is not known', () => {
    assert.equal(progressLine({ ...facts, elapsedMs: 500 }), '0 of 10000 done, 10000 waiting, 0.5 s');
    const ended = new Map([[RunState.LOST, 1]]);
    assert.equal(
      progressLine({ ...facts, total: undefined, ended, perSecond: 0.01 }),
      '1 done (1 LOST), 0 s',
    );
  });
});

describe('a rate', () => {
  it('is not known before two seconds, then that of the last half minute', () => {
    const rate = createRate();
    for (let ms = 0; ms < 20_000; ms += 100) rate.note(ms);
    assert.equal(createRate().perSecond(1e6), undefined);
    assert.equal(rate.perSecond(20_000), 10);
    assert.equal(rate.perSecond(40_000), 10 / 3);
    assert.equal(rate.perSecond(60_000), 0);
    const young = createRate();
    young.note(0);
    assert.equal(young.perSecond(1_999), undefined);
  });
});
