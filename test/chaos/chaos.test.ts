import assert from 'node:assert/strict';
import { QUICK_WEATHER, runStorm } from './storm.js';

const RUNS = 30;

describe('chaos', function () {
  this.timeout(240_000);

  it('leaves 30 runs on 50 nodes with 30 true outcomes, recorded and shown without a gap, and nothing behind', async () => {
    const said: string[] = [];
    const report = await runStorm({
      seed: 1,
      runsMax: RUNS,
      msMax: Infinity,
      weather: QUICK_WEATHER,
      say: (text) => said.push(text),
      signal: new AbortController().signal,
    });
    assert.deepEqual(report.problems, []);
    assert.equal(report.runs, RUNS);
    assert.equal(
      Object.values(report.outcomes).reduce((sum, count) => sum + count, 0),
      RUNS,
    );
    assert.match(report.storeCheck, /^No fault found\.$/m);
    // All of it must have happened, or nothing was tried.
    for (const [on, count] of Object.entries({
      ...report.faults,
      success: report.outcomes['SUCCEEDED'] ?? 0,
    }))
      assert(count > 0, `${on}\n${said.join('\n')}`);
  });
});
