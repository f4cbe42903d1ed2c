import assert from 'node:assert/strict';
import type { Plan } from '../../../services/lom/plan/plan.js';
import { ExecutionState, RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { eventually } from '../../support/eventually.js';
import { outcomeOf } from '../../support/execution-events.js';
import { guardedExecutions, HOUR_MS } from '../../support/guarded-executions.js';
import { planOf, type RecordedExecution } from '../../support/recorded-execution.js';

describe('an action of which only so many runs may be under way', () => {
  const world = guardedExecutions();
  const { execute, begun } = world;

  /** The action of a test is nobody else's. */
  let action: string;
  let count = 0;
  beforeEach(() => {
    action = `limited-${(count += 1)}`;
  });

  const limited = (names: readonly string[], max: number, fields: Partial<Plan> = {}): Plan =>
    planOf(names, { limit: { action, max }, queueWaitMs: HOUR_MS, ...fields });
  const waits = (execution: RecordedExecution, runs: number): Promise<unknown> =>
    eventually(
      async () => (await world.store.lockWaits(execution.id, { after: -1, limit: 10 })).size === runs,
      {
        label: `${runs} runs in the queue`,
      },
    );

  it('runs on so many nodes at a time, whoever asked, and in the end on all', async () => {
    const first = await execute(limited(['a', 'b', 'c'], 2));
    await begun(2);
    await waits(first, 1);
    const second = await execute(limited(['a', 'b'], 2));
    await waits(second, 2);
    for (const { id, finished } of [first, second]) {
      world.nodes.release(id);
      await finished;
    }
    assert.deepEqual([first.state, second.state], [ExecutionState.SUCCEEDED, ExecutionState.SUCCEEDED]);
    assert.deepEqual([world.nodes.begun.length, world.nodes.most()], [5, 2]);
    assert.equal((await world.store.actionUse(action)).running, 0);
  });

  it('tells those who wait how many run, which place they have, and until when they wait', async () => {
    const first = await execute(limited(['a'], 1));
    await begun(1);
    const second = await execute(limited(['b'], 1));
    await waits(second, 1);
    world.nodes.release(first.id);
    world.nodes.release(second.id);
    const told = (await second.events()).flatMap(({ event }) =>
      event?.$case === 'waiting' ? [event.value] : [],
    );
    assert.equal(told.length, 1);
    const [wait] = told;
    assert.deepEqual([wait?.place, wait?.holder, wait?.limit], [1, undefined, { action, running: 1 }]);
    assert.equal(Number(wait?.until) - Number(wait?.askedAt), HOUR_MS);
  });

  for (const [how, queueWaitMs, message] of [
    [
      'at once to those who do not want to wait',
      0,
      /^limited-\d+ has no place for b: 1 run of it is under way/,
    ],
    [
      'to those who have waited long enough',
      50,
      /^The run waited 0 s\. limited-\d+ has no place for b: 1 run/,
    ],
  ] as const) {
    it(`is refused ${how}, and then the run has never started`, async () => {
      const first = await execute(limited(['a'], 1));
      await begun(1);
      const second = await execute(limited(['b'], 1, { queueWaitMs }));
      const outcome = outcomeOf(await second.events(), 'b');
      assert.equal(outcome?.state, RunState.FAILED);
      assert.equal(outcome.startedAt, undefined);
      assert.equal(outcome.error?.errorData?.name, 'ACTION_LIMIT_REACHED');
      assert.match(outcome.error.errorData.message, message);
      world.nodes.release(first.id);
      await first.finished;
      assert.equal(world.nodes.begun.length, 1);
    });
  }

  it('waits for its node without a place, and then for a place without the node', async () => {
    const onNode = { locksNodes: true };
    const there = await execute(planOf(['a'], { ...onNode, queueWaitMs: HOUR_MS }));
    await begun(1);
    const both = await execute(limited(['a'], 1, onNode));
    await waits(both, 1);
    const elsewhere = await execute(limited(['b'], 1));
    await begun(2);
    const events = both.events();
    world.nodes.release(there.id);
    const key = async (): Promise<string | undefined> =>
      (await world.store.lockWaits(both.id, { after: -1, limit: 1 })).get(0)?.key;
    await eventually(async () => (await key()) === `action=${action}`, { label: 'the wait for a place' });
    assert.equal((await world.store.nodeLock('a')).holder, undefined);
    world.nodes.release(elsewhere.id);
    world.nodes.release(both.id);
    const told = (await events).flatMap(({ event }) => (event?.$case === 'waiting' ? [event.value] : []));
    assert.deepEqual(
      told.map(({ limit, holder }) => limit?.action ?? holder?.executionId),
      [there.id, action],
    );
    assert.equal(both.state, ExecutionState.SUCCEEDED);
  });
});
