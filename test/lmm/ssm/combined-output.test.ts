import assert from 'node:assert/strict';
import { reportInCombined } from '../../../services/lmm/transports/ssm/combined-output.js';
import { combineOutput } from '../../support/ssm/truncate-output.js';

const RUN_ID = '0193a1c0-0000-7000-8000-000000000000';
const COMBINED_MAX = 2_500;

/** Both outputs of a script as one, as lists of commands show them: so many bytes of each output of the plugin, of so many in all. */
function combined(outBytes: number, errBytes: number, outTotal = outBytes): string {
  const [out, err] = [
    Buffer.alloc(outBytes, 'o').toString('base64'),
    Buffer.alloc(errBytes).toString('base64'),
  ];
  const sizes = `${outTotal} ${outBytes} plain ${out.length} - ${errBytes} ${errBytes} plain ${err.length} -`;
  const words = `report 0 ${sizes} ${'0'.repeat(32)} ${'1'.repeat(32)} end exit 0 yes 0 none`;
  return combineOutput(
    `RUNE-SSM ${RUN_ID} ${words}\n${out}\n`,
    `RUNE-SSM ${RUN_ID} log\n${err}\n`,
    COMBINED_MAX,
  );
}

describe('the report of a run in a list of commands', () => {
  it('is taken where all of it is there', () => {
    const report = reportInCombined(RUN_ID, combined(700, 600));
    assert.equal(report?.stdout.bytes.length, 700);
    assert.equal(report?.stderr?.bytes.length, 600);
  });

  it('is not taken where the list has cut it, at whatever length', () => {
    for (let bytes = 850; bytes < 4_000; bytes += 7) {
      assert.equal(reportInCombined(RUN_ID, combined(bytes, 900)), undefined, `${bytes} bytes of output`);
      assert.equal(reportInCombined(RUN_ID, combined(900, bytes)), undefined, `${bytes} bytes of log`);
    }
  });

  it('is not taken where the node could not print all of an output, which may be elsewhere', () => {
    assert.notEqual(reportInCombined(RUN_ID, combined(100, 100, 100)), undefined);
    assert.equal(reportInCombined(RUN_ID, combined(100, 100, 101)), undefined);
  });

  it('is not taken for that of another run, and nothing is made of nothing', () => {
    assert.equal(reportInCombined('0193a1c0-0000-7000-8000-000000000001', combined(10, 10)), undefined);
    assert.equal(reportInCombined(RUN_ID, ''), undefined);
  });
});
