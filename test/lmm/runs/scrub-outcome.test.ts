import assert from 'node:assert/strict';
import { createScrubber } from '../../../services/lmm/runs/scrubber.js';
import { scrubOutcome } from '../../../services/lmm/runs/scrub-outcome.js';
import { RuneError } from '../../../services/shared/errors.js';
import { Outcome, RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { toEps } from '../../../services/shared/messages/eps.js';

const SCRUBBER = createScrubber(['hunter2', 'say "so"']);

describe('an outcome', () => {
  it('has no secret in the texts of its result, and every number as the plugin wrote it', () => {
    const json =
      '{"n":1.0,"big":12345678901234567890,"hunter2":["a hunter2","say \\"so\\"!"],"ok":"x\\u0041"}';
    const output = JSON.parse(json) as Record<string, unknown>;
    const result = {
      outputJson: Buffer.from(json),
      output,
      outputOmitted: false,
      dryRun: false,
      notKeptBytes: 0,
    };
    const clean = scrubOutcome({ ...Outcome.create(), result }, Buffer.alloc(0), SCRUBBER).result;
    assert.equal(
      clean?.outputJson.toString(),
      '{"n":1.0,"big":12345678901234567890,"[redacted]":["a [redacted]","[redacted]!"],"ok":"x\\u0041"}',
    );
    assert.deepEqual(clean.output, JSON.parse(clean.outputJson.toString()));
  });

  it('has no secret in its error, whole or cut off at the end of what is kept', () => {
    const stdout = Buffer.from(`${'x'.repeat(4092)}hunter2`);
    const facts = { node: 'web01', stderrTail: 'hunter2', evidence: stdout.subarray(0, 4096).toString() };
    const error = toEps(new RuneError('OUTPUT_NOT_JSON', 'It said hunter2.', facts), { source: 'lmm' });
    const outcome = { ...Outcome.create(), state: RunState.FAILED, error };
    const clean = scrubOutcome(outcome, stdout, SCRUBBER);
    const bytes = Buffer.from(Outcome.encode(clean).finish());
    assert(!bytes.includes('hunter2') && !bytes.includes('xhunt'));
    assert.equal(clean.error?.errorData?.message, 'It said [redacted].');
    assert.equal(clean.error?.errorData?.data?.node, 'web01');
  });
});
