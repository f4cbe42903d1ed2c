import assert from 'node:assert/strict';
import { interpretReport } from '../../../services/lmm/transports/ssm/interpret-report.js';
import { StopReason } from '../../../services/shared/gen/rune/v1/run.js';
import { nodeOf } from '../../support/links.js';
import { commandFor } from '../../support/run-plugin.js';

const NONCE = '0123456789abcdef0123456789abcdef';
const TOKEN = 'fedcba9876543210fedcba9876543210';
const TARGET = nodeOf({ kind: 'ssm', url: '', region: 'eu-central-1', instanceIds: ['i-0123456789abcdef0'] });
const BEGIN = `\x1e${NONCE} begin\n`;
const END = 'end signal TERM yes 0 cut';
const ENDED = `\x1e${NONCE} ${END}\n`;

const interpret = (
  stdout: string,
  totalBytes = stdout.length,
  askedReason?: StopReason,
): ReturnType<typeof interpretReport> =>
  interpretReport(
    {
      kind: 'report',
      exitCode: 0,
      stdout: { bytes: Buffer.from(stdout), totalBytes },
      stderr: undefined,
      nonce: NONCE,
      startToken: TOKEN,
      end: END,
    },
    {
      command: commandFor(TARGET, ''),
      sink: { started: () => undefined, stdout: () => undefined, stderr: () => undefined },
      askedReason,
      isTimedOut: false,
      phases: { connectMs: 0, startMs: 0, runMs: 0 },
    },
  );

describe('what the report of a run over Systems Manager says of its plugin', () => {
  it('nothing ran, if the node says that it ended without having begun', () => {
    assert.throws(() => interpret(BEGIN + ENDED), { name: 'NODE_SETUP_FAILED' });
    const cancelled = { name: 'RUN_CANCELLED' };
    assert.throws(() => interpret(BEGIN + ENDED, undefined, StopReason.CANCEL), cancelled);
  });

  it('nothing is certain, if the part that would say that it began is missing', () => {
    assert.deepEqual(interpret(BEGIN, 100_000, StopReason.CANCEL), { kind: 'unclear', started: false });
    assert.deepEqual(interpret('', 100_000), { kind: 'unclear', started: false });
  });
});
