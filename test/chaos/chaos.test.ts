import assert from 'node:assert/strict';
import { QUICK_NETWORK, runStorm } from './storm.js';

const RUNS = 200;

describe('chaos', function () {
  this.timeout(240_000);

  it('leaves 200 runs on 50 nodes with 200 true outcomes, and no process, descriptor or file behind', async () => {
    const said: string[] = [];
    const report = await runStorm({
      seed: 1,
      runsMax: RUNS,
      msMax: Infinity,
      network: QUICK_NETWORK,
      say: (text) => said.push(text),
      signal: new AbortController().signal,
    });
    assert.deepEqual(report.problems, []);
    assert.equal(report.runs, RUNS);
    assert.equal(
      Object.values(report.outcomes).reduce((sum, count) => sum + count, 0),
      RUNS,
    );
    // Both must have happened, or nothing was tried.
    assert(report.faults > 0 && (report.outcomes['SUCCEEDED'] ?? 0) > 0, said.join('\n'));
  });
});
