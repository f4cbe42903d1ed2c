import assert from 'node:assert/strict';
import {
  endOf,
  progressOf,
  type InvocationEnd,
  type InvocationPast,
} from '../../../services/lmm/transports/ssm/invocation-state.js';

const NOT_SEEN: InvocationPast = { wasRunning: false, waitedTooLong: false };
const RAN: InvocationPast = { wasRunning: true, waitedTooLong: false };
const WAITED: InvocationPast = { wasRunning: false, waitedTooLong: true };

type Row = readonly [
  status: string,
  details: string,
  responseCode: number,
  hasBegun: boolean,
  past: InvocationPast,
  kind: InvocationEnd['kind'],
];

const ROWS: readonly Row[] = [
  ['Failed', 'Undeliverable', -1, false, NOT_SEEN, 'never-ran'],
  ['Failed', 'Terminated', -1, false, NOT_SEEN, 'never-ran'],
  ['Failed', 'InvalidPlatform', -1, false, NOT_SEEN, 'never-ran'],
  ['Failed', 'AccessDenied', -1, false, NOT_SEEN, 'never-ran'],
  ['Failed', 'Rate Exceeded', -1, false, NOT_SEEN, 'never-ran'],
  ['Failed', 'RateExceeded', -1, true, NOT_SEEN, 'unknown'],
  ['Failed', 'Undeliverable', -1, false, RAN, 'unknown'],
  ['Failed', 'Undeliverable', -1, true, NOT_SEEN, 'unknown'],
  ['TimedOut', 'DeliveryTimedOut', -1, false, WAITED, 'never-ran'],
  ['TimedOut', 'Delivery Timed Out', -1, false, WAITED, 'never-ran'],
  ['TimedOut', 'DeliveryTimedOut', -1, false, NOT_SEEN, 'unknown'],
  ['TimedOut', 'DeliveryTimedOut', -1, false, { wasRunning: true, waitedTooLong: true }, 'unknown'],
  ['TimedOut', 'DeliveryTimedOut', -1, true, WAITED, 'unknown'],
  ['TimedOut', 'ExecutionTimedOut', 137, true, RAN, 'stopped'],
  ['TimedOut', 'Execution Timed Out', -1, false, RAN, 'stopped'],
  ['Cancelled', 'Cancelled', -1, false, NOT_SEEN, 'never-ran'],
  ['Cancelled', 'Cancelled', 1, false, RAN, 'never-ran'],
  ['Cancelled', 'Cancelled', -1, false, RAN, 'stopped'],
  ['Cancelled', 'Cancelled', 137, true, RAN, 'stopped'],
  ['Failed', 'Failed', 126, true, RAN, 'never-ran'],
  ['Failed', 'Failed', 127, true, RAN, 'never-ran'],
  ['Failed', 'Failed', 1, true, RAN, 'unknown'],
  ['Failed', 'Failed', -1, true, RAN, 'unknown'],
  ['Success', 'Success', 0, true, RAN, 'unknown'],
  ['Success', 'Success', 168, true, RAN, 'unknown'],
  ['Shelved', 'Shelved', 0, true, RAN, 'unknown'],
];

describe('what an invocation of Systems Manager without a report means', () => {
  for (const [status, details, responseCode, hasBegun, past, kind] of ROWS) {
    const seen = `${past.wasRunning ? ', seen running' : ''}${past.waitedTooLong ? ', seen waiting too long' : ''}`;
    const begun = hasBegun ? 'begun' : 'not begun';
    it(`${status}, ${details}, response code ${responseCode}, ${begun}${seen}: ${kind}`, () => {
      const end = endOf({ status, details, responseCode, hasBegun }, past);
      assert.equal(end.kind, kind);
      assert.notEqual(end.reason, '');
    });
  }

  it('tells a cancel from other reasons never to have run', () => {
    const cancelled = endOf(
      { status: 'Cancelled', details: 'Cancelled', responseCode: -1, hasBegun: false },
      NOT_SEEN,
    );
    assert.ok(cancelled.kind === 'never-ran' && cancelled.byCancel);
    const lost = endOf(
      { status: 'Failed', details: 'Undeliverable', responseCode: -1, hasBegun: false },
      NOT_SEEN,
    );
    assert.ok(lost.kind === 'never-ran' && !lost.byCancel);
  });

  it('waits for every status that is not an end, also one that nobody knows', () => {
    assert.deepEqual(
      [
        'Pending',
        'Delayed',
        'InProgress',
        'Cancelling',
        'Success',
        'Failed',
        'TimedOut',
        'Cancelled',
        'New',
      ].map((status) => progressOf({ status })),
      ['waiting', 'waiting', 'running', 'stopping', 'over', 'over', 'over', 'over', 'running'],
    );
  });
});
