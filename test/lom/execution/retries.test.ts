import assert from 'node:assert/strict';
import { endOf, repeatOf } from '../../../services/lom/execution/retries.js';
import { planRetries } from '../../../services/lom/plan/plan-retries.js';
import type { Action } from '../../../services/shared/bundle/action.js';
import { toEps } from '../../../services/shared/messages/eps.js';
import { RuneError, type ErrorName } from '../../../services/shared/errors.js';
import { PlanExecutionRequest } from '../../../services/shared/gen/rune/v1/lom.js';
import { DeliveryMode } from '../../../services/shared/gen/rune/v1/rcs.js';
import { Outcome, RunState, StopReason } from '../../../services/shared/gen/rune/v1/run.js';

const SETTINGS = { retriesMax: 10, retryDelayMs: 1000 };
const HOUR_MS = 3_600_000;
const PLAN = { max: 2, delayMs: 500, atLeastOnce: true };

const actionOf = (idempotent: boolean): Action =>
  ({ capability: { action: 'act', idempotent } }) as unknown as Action;
const asked = (deliveryMode: DeliveryMode, maxRetries = 0): PlanExecutionRequest =>
  PlanExecutionRequest.fromPartial({ header: { messageMetadata: { deliveryMode } }, maxRetries });
const failed = (name: ErrorName, fields: Parameters<typeof Outcome.fromPartial>[0] = {}): Outcome =>
  Outcome.fromPartial({
    state: RunState.FAILED,
    error: toEps(new RuneError(name, `This is ${name}.`), { source: 'lmm' }),
    ...fields,
  });
const startedAt = new Date();

describe('a run that is wanted at least once', () => {
  it('is one of an action that may run twice, and of no other', () => {
    assert.throws(
      () => planRetries(asked(DeliveryMode.AT_LEAST_ONCE, 1), actionOf(false), SETTINGS),
      (error) => error instanceof RuneError && error.name === 'ACTION_NOT_IDEMPOTENT',
    );
    assert.equal(
      planRetries(asked(DeliveryMode.AT_MOST_ONCE, 1), actionOf(false), SETTINGS).atLeastOnce,
      false,
    );
  });

  it('is tried three times more, or as often as the request and the service say', () => {
    const maxOf = (maxRetries: number, retriesMax = 10): number =>
      planRetries(asked(DeliveryMode.AT_LEAST_ONCE, maxRetries), actionOf(true), { ...SETTINGS, retriesMax })
        .max;
    assert.deepEqual([maxOf(0), maxOf(7), maxOf(0, 2)], [3, 7, 2]);
    assert.equal(planRetries(asked(DeliveryMode.UNSPECIFIED), actionOf(true), SETTINGS).max, 0);
  });

  it('is tried again once a lost attempt cannot be alive any more', () => {
    const lost = failed('OUTCOME_UNKNOWN', {
      state: RunState.LOST,
      maySurvive: true,
      stoppedOnNodeBy: new Date(Date.now() + HOUR_MS),
    });
    const repeat = repeatOf(lost, 1, PLAN);
    assert.equal(repeat?.mayHaveStarted, true);
    assert.ok(repeat.pauseMs > HOUR_MS - 60_000 && repeat.pauseMs <= HOUR_MS, String(repeat.pauseMs));
    assert.equal(repeatOf({ ...lost, stoppedOnNodeBy: new Date(0) }, 2, PLAN)?.pauseMs, 1000);
    assert.equal(repeatOf(lost, 3, PLAN), undefined);
    assert.equal(repeatOf({ ...lost, stoppedOnNodeBy: undefined }, 1, PLAN), undefined);
  });

  for (const [stopReason, words] of [
    [StopReason.CUT, 'its link was cut'],
    [StopReason.LEASE, 'its mediator was silent'],
    [StopReason.ORPHANED, 'nobody was attached to it'],
    [StopReason.SHUTDOWN, 'its mediator shut down'],
  ] as const) {
    it(`is tried again after its node has ended it because ${words}, and by nobody else`, () => {
      const cut = failed('LINK_LOST', { stopReason, startedAt, cancelConfirmed: true });
      assert.deepEqual(repeatOf(cut, 1, PLAN), { pauseMs: 500, mayHaveStarted: true });
      assert.equal(repeatOf({ ...cut, maySurvive: true }, 1, PLAN), undefined);
      assert.equal(repeatOf(cut, 1, { ...PLAN, atLeastOnce: false }), undefined);
    });
  }

  for (const [what, outcome] of [
    ['succeeded', Outcome.fromPartial({ state: RunState.SUCCEEDED, startedAt })],
    ['failed', failed('PLUGIN_FAILED', { startedAt })],
    ['took too long', failed('RUN_TIMED_OUT', { state: RunState.TIMED_OUT, stopReason: StopReason.TIMEOUT })],
    ['was cancelled', failed('RUN_CANCELLED', { state: RunState.CANCELLED, stopReason: StopReason.CANCEL })],
    ['was refused', failed('HOST_KEY_CHANGED')],
  ] as const) {
    it(`is not tried again when it ${what}`, () => {
      assert.equal(repeatOf(outcome, 1, PLAN), undefined);
    });
  }

  it('has ended as its last attempt, unless only an earlier one may have started', () => {
    const lost = failed('OUTCOME_UNKNOWN', { state: RunState.LOST, maySurvive: true });
    const succeeded = Outcome.fromPartial({ state: RunState.SUCCEEDED, startedAt });
    const unreached = failed('NODE_UNREACHABLE');
    assert.equal(endOf(succeeded, lost), succeeded);
    assert.equal(endOf(unreached, undefined), unreached);
    const ran = failed('PLUGIN_FAILED', { startedAt });
    assert.equal(endOf(ran, lost), ran);
    const end = endOf(unreached, lost);
    assert.equal(end.state, RunState.LOST);
    assert.equal(
      end.error?.errorData?.message,
      'This is OUTCOME_UNKNOWN. It was not repeated: This is NODE_UNREACHABLE.',
    );
  });
});
