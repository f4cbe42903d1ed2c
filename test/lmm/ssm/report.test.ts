import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { readReport } from '../../../services/lmm/transports/ssm/report.js';

const RUN_ID = '0193a1c0-0000-7000-8000-000000000000';
const NONCE = '0123456789abcdef0123456789abcdef';
const TOKEN = 'fedcba9876543210fedcba9876543210';

function outputs(
  out: Buffer,
  err: Buffer,
  end = 'end exit 0 yes 0 none',
): { stdout: string; stderr: string } {
  const packed = gzipSync(out).toString('base64');
  const plain = err.toString('base64');
  const sizes = `${out.length} ${out.length} gzip ${packed.length} - ${err.length} ${err.length} plain ${plain.length} -`;
  return {
    stdout: `RUNE-SSM ${RUN_ID} report 0 ${sizes} ${NONCE} ${TOKEN} ${end}\n${packed}\n`,
    stderr: `RUNE-SSM ${RUN_ID} log\n${plain}\n`,
  };
}

describe('the report of a run over Systems Manager', () => {
  const whole = outputs(Buffer.from('result\n'), Buffer.from('a line\n'));

  it('gives both outputs back, compressed or not', () => {
    const report = readReport(RUN_ID, whole.stdout, whole.stderr);
    assert(report.kind === 'report');
    assert.equal(report.stdout.bytes.toString(), 'result\n');
    assert.equal(report.stderr?.bytes.toString(), 'a line\n');
    assert.deepEqual(
      [report.exitCode, report.nonce, report.startToken, report.end],
      [0, NONCE, TOKEN, 'end exit 0 yes 0 none'],
    );
  });

  it('is found behind what a login or an agent printed before', () => {
    assert.equal(readReport(RUN_ID, `Welcome\n${whole.stdout}`, whole.stderr).kind, 'report');
  });

  it('is known to be cut at every place where the agent may have cut it', () => {
    const first = `RUNE-SSM ${RUN_ID} `.length;
    const words = whole.stdout.trimEnd();
    for (let length = first; length < words.length; length += 1) {
      const kind = readReport(RUN_ID, words.slice(0, length), '').kind;
      assert.equal(kind, 'cut', `${length} of ${words.length}`);
    }
    assert.equal(readReport(RUN_ID, `${words.slice(0, -20)}--output truncated--`, '').kind, 'cut');
  });

  it('misses only the log when only the log was cut', () => {
    const report = readReport(RUN_ID, whole.stdout, whole.stderr.slice(0, -4));
    assert(report.kind === 'report');
    assert.equal(report.stderr, undefined);
  });

  it('says what else a script may say, and nothing for another run', () => {
    assert.deepEqual(readReport(RUN_ID, `RUNE-SSM ${RUN_ID} unable gzip\n`, ''), {
      kind: 'unable',
      what: 'gzip',
    });
    assert.deepEqual(readReport(RUN_ID, `RUNE-SSM ${RUN_ID} again\n`, ''), { kind: 'again' });
    assert.deepEqual(readReport('another', whole.stdout, ''), { kind: 'silent' });
    assert.deepEqual(readReport(RUN_ID, '', ''), { kind: 'silent' });
  });

  it('is no report when it unpacks to something else than it says', () => {
    assert.equal(readReport(RUN_ID, whole.stdout.replace(/ 7 7 gzip/, ' 7 6 gzip'), '').kind, 'cut');
    const bomb = outputs(Buffer.alloc(64 * 1024 * 1024), Buffer.alloc(0));
    assert.equal(readReport(RUN_ID, bomb.stdout, bomb.stderr).kind, 'cut');
  });
});
