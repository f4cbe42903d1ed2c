import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { RuneError } from '../../../services/shared/errors.js';
import type { RunResponse } from '../../../services/shared/gen/rune/v1/lom.js';
import { ExecutionState, RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { errorOf, outcomeOf } from '../../support/execution-events.js';
import { executeRecorded, planOf } from '../../support/recorded-execution.js';
import {
  accepted,
  ended,
  logged,
  refusal,
  running,
  scriptedMediators,
  succeed,
  type Script,
} from '../../support/scripted-mediators.js';
import { tempStore } from '../../support/temp-store.js';

const textsOf = (events: readonly RunResponse[]): (string | Buffer | undefined)[] =>
  events.flatMap(({ event }) =>
    event?.$case === 'log' ? event.value.lines.map((line) => line.content?.value) : [],
  );

describe('a run whose stream breaks', () => {
  const temp = tempStore();

  const broken: Script = async function* () {
    yield accepted;
    yield running;
    yield logged('first');
    throw new RuneError('SERVICE_UNREACHABLE', 'connection reset');
  };

  it('finds the run again where it was and goes on behind what it has', async () => {
    const attach: Script = async function* () {
      yield logged('second');
      yield ended(RunState.SUCCEEDED);
    };
    const mediators = scriptedMediators({ start: broken, attach });
    const execution = await executeRecorded(temp.store, planOf(['a']), mediators);
    const events = await execution.events();
    assert.equal(execution.state, ExecutionState.SUCCEEDED);
    assert.deepEqual(textsOf(events), ['first', 'second']);
    assert.deepEqual(
      mediators.attaches.map(({ afterEvent, placement }) => [afterEvent, placement]),
      [[3, { address: 'm:1', instanceId: 'm:1#1' }]],
    );
    assert.equal(mediators.starts.length, 1);
  });

  it('has lost it when another process answers there', async () => {
    const mediators = scriptedMediators({ start: broken });
    const events = await (await executeRecorded(temp.store, planOf(['a']), mediators)).events();
    const outcome = outcomeOf(events);
    assert.equal(outcome?.state, RunState.LOST);
    assert.equal(errorOf(outcome), 'OUTCOME_UNKNOWN');
    assert.equal(outcome?.maySurvive, true);
    assert.ok(outcome.stoppedOnNodeBy instanceof Date);
    assert.equal(mediators.starts.length, 1);
  });

  it('looks for it until nothing can be left of it, and then has lost it', async () => {
    const attach: Script = async function* () {
      yield* [];
      throw new RuneError('SERVICE_UNREACHABLE', 'still away');
    };
    const mediators = scriptedMediators({ start: broken, attach });
    const events = await (await executeRecorded(temp.store, planOf(['a']), mediators)).events();
    assert.equal(outcomeOf(events)?.state, RunState.LOST);
    assert.ok(mediators.attaches.length > 3, `${mediators.attaches.length} attempts`);
  });

  it('does not take a clock that is set for the time that it has looked for it', async () => {
    const now = Date.now;
    let asked = 0;
    const attach: Script = async function* () {
      asked += 1;
      Date.now = () => now() + 86_400_000 * asked;
      if (asked < 3) throw new RuneError('SERVICE_UNREACHABLE', 'still away');
      yield ended(RunState.SUCCEEDED);
    };
    try {
      const mediators = scriptedMediators({ start: broken, attach });
      const execution = await executeRecorded(temp.store, planOf(['a']), mediators, {
        settings: { lostAfterMs: 60_000 },
      });
      await execution.finished;
      assert.equal(execution.state, ExecutionState.SUCCEEDED);
    } finally {
      Date.now = now;
    }
  });

  it('has not lost one that was silent for longer than that before it broke off once more', async () => {
    let asked = 0;
    const attach: Script = async function* (_node, _identity, _signal, found) {
      asked += 1;
      if (asked === 2) yield ended(RunState.SUCCEEDED);
      if (asked > 1) return;
      found?.();
      await delay(60);
      throw new RuneError('SERVICE_UNREACHABLE', 'connection reset');
    };
    const mediators = scriptedMediators({ start: broken, attach });
    const execution = await executeRecorded(temp.store, planOf(['a']), mediators, {
      settings: { lostAfterMs: 50 },
    });
    await execution.finished;
    assert.equal(execution.state, ExecutionState.SUCCEEDED);
  });

  it('has lost it after that time when it is found again and again, and ends without an outcome', async () => {
    const attach: Script = async function* (_node, _identity, _signal, found) {
      yield* [];
      found?.();
    };
    const mediators = scriptedMediators({ start: broken, attach });
    const events = await (await executeRecorded(temp.store, planOf(['a']), mediators)).events();
    assert.equal(outcomeOf(events)?.state, RunState.LOST);
  });

  it('before the mediator had answered sends it again only after proof that it did not start', async () => {
    let sent = 0;
    const start: Script = async function* () {
      if (sent++ === 0) throw new RuneError('SERVICE_UNREACHABLE', 'connection reset');
      yield* succeed();
    };
    const attach: Script = async function* () {
      yield* [];
      throw refusal('RUN_NOT_FOUND');
    };
    const mediators = scriptedMediators({ start, attach });
    const execution = await executeRecorded(temp.store, planOf(['a']), mediators);
    await execution.finished;
    assert.equal(execution.state, ExecutionState.SUCCEEDED);
    assert.equal(mediators.attaches.length, 1);
    assert.equal(new Set(mediators.starts.map(({ runId }) => runId)).size, 1);
  });
});
