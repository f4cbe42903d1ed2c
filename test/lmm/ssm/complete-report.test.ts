import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { createLimiter } from '../../../services/lmm/transports/limiter.js';
import { completeReport } from '../../../services/lmm/transports/ssm/complete-report.js';
import type { NodeReport } from '../../../services/lmm/transports/ssm/report.js';
import { SsmFault, type SsmApi } from '../../../services/lmm/transports/ssm/ssm-api.js';
import { createTestClock } from './test-clock.js';

const RUN_ID = '0193a1c0-0000-7000-8000-000000000000';
const COMMAND = { commandId: '11111111-2222-3333-4444-555555555555', instanceId: 'i-0123456789abcdef0' };
const PLACE = `https://s3.eu-central-1.amazonaws.com/rune-output/${COMMAND.commandId}/${COMMAND.instanceId}/stdout`;
const WHOLE = Buffer.from('all that the plugin printed');

function objectOf(bytes: Buffer): Buffer {
  return Buffer.from(
    `RUNE-SSM ${RUN_ID} report and so on\nYWxs\nRUNE-SSM ${RUN_ID} whole gzip\n${gzipSync(bytes).toString('base64')}\n`,
  );
}

describe('completing the report of a run over Systems Manager', () => {
  /** Completes a report of which only the first bytes fitted; `answers` are given one by one, the last one again and again. */
  const complete = async (
    answers: readonly (Buffer | undefined | SsmFault | 'stalled')[],
    changes: { readonly bytesMax?: number; readonly url?: string; readonly isWhole?: boolean } = {},
  ): Promise<{ readonly text: string; readonly why: string | undefined; readonly looks: number }> => {
    let looks = 0;
    const object: SsmApi['object'] = (_bucket, _key, _bytesMax, signal) => {
      const answer = answers[Math.min(looks, answers.length - 1)];
      looks += 1;
      if (answer === 'stalled')
        return new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(new SsmFault('unknown', 'AbortError', ''))),
        );
      return answer instanceof SsmFault ? Promise.reject(answer) : Promise.resolve(answer);
    };
    const report: NodeReport = {
      kind: 'report',
      exitCode: 0,
      stdout: {
        bytes: WHOLE.subarray(0, 3),
        totalBytes: WHOLE.length,
        ...(changes.isWhole === false
          ? {}
          : { wholeDigest: createHash('sha256').update(WHOLE).digest('hex') }),
      },
      stderr: { bytes: Buffer.from('a line'), totalBytes: 6 },
      nonce: '',
      startToken: '',
      end: '',
    };
    const invocation = {
      ...COMMAND,
      status: 'Success',
      details: 'Success',
      responseCode: 0,
      hasBegun: true,
      stdout: '',
      stderr: '',
      stdoutUrl: changes.url ?? PLACE,
      stderrUrl: '',
    };
    const clock = createTestClock();
    const completing = completeReport(RUN_ID, report, invocation, {
      access: { api: { object } as unknown as SsmApi, downloads: createLimiter(1) },
      bucket: { name: 'rune-output', keyPrefix: '' },
      bytesMax: changes.bytesMax ?? 1_000,
      waitMs: 10_000,
      clock,
      signal: new AbortController().signal,
    });
    await clock.pass(90_000);
    const done = await completing;
    assert(done.kind === 'report');
    assert.equal(done.stderr?.bytes.toString(), 'a line');
    return { text: done.stdout.bytes.toString(), why: done.wholeMissing, looks };
  };

  it('takes the whole of an output from the bucket, and waits until it is there', async () => {
    const denied = new SsmFault('refused', 'AccessDenied', '');
    assert.deepEqual(await complete([undefined, denied, objectOf(WHOLE)]), {
      text: WHOLE.toString(),
      why: undefined,
      looks: 3,
    });
  });

  it('gives up after its time, and says why in the words of the last answer', async () => {
    const never = await complete([undefined]);
    assert.equal(never.text, 'all');
    assert.equal(never.why, 'the bucket rune-output does not give the rest: it is not there');
    assert.ok(never.looks > 3 && never.looks < 12, `${never.looks}`);
    const { why } = await complete([undefined, new SsmFault('refused', 'AccessDenied', '')]);
    assert.equal(why, 'the bucket rune-output does not give the rest: AccessDenied');
  });

  it('leaves an object that takes too long, and lets others have their turn', async () => {
    const { text, why, looks } = await complete(['stalled']);
    assert.deepEqual([text, looks], ['all', 1]);
    assert.match(why ?? '', /: it takes too long$/);
  });

  it('takes nothing that is not exactly what the node printed', async () => {
    const bomb = gzipSync(Buffer.alloc(1_000_000)).toString('base64');
    for (const other of [
      objectOf(Buffer.from('ALL that the plugin printed')),
      objectOf(WHOLE.subarray(1)),
      objectOf(WHOLE).subarray(0, -9),
      Buffer.from(`RUNE-SSM ${RUN_ID} whole gzip\n${bomb}\n`),
      Buffer.from('hello'),
      Buffer.alloc(0),
    ]) {
      const { text, why } = await complete([other]);
      assert.equal(text, 'all');
      assert.match(why ?? '', /: what is there is not what the node printed$/);
    }
  });

  it('asks for nothing that the node has not printed, that is too long, or that has another place', async () => {
    assert.deepEqual(await complete([], { isWhole: false }), { text: 'all', why: undefined, looks: 0 });
    assert.deepEqual(await complete([], { bytesMax: 20 }), { text: 'all', why: undefined, looks: 0 });
    const elsewhere = await complete([], { url: PLACE.replace('i-0', 'i-1') });
    assert.equal(elsewhere.looks, 0);
    assert.match(elsewhere.why ?? '', /no place in it was named/);
  });
});
