import assert from 'node:assert/strict';
import type { Placement } from '../../../services/lom/dispatch/placement.js';
import { createFairSlots } from '../../../services/lom/execution/fair-slots.js';
import { newRun } from '../../../services/lom/execution/new-run.js';
import { reserveRuns, type ReservedRuns } from '../../../services/lom/execution/reserve-runs.js';
import { configuredMediators, createMediators } from '../../../services/lom/mediators/mediators.js';
import type { Plan } from '../../../services/lom/plan/plan.js';
import { planOf } from '../../support/recorded-execution.js';

const NODES = ['a', 'b', 'c', 'd'];
const ALL = new Set(NODES.map((_, position) => position));

describe('the runs of an execution that is about to be recorded', () => {
  const slots = createFairSlots(3);
  const mediators = createMediators(() =>
    configuredMediators([{ address: 'm:1', zone: '' }]).map((mediator) => ({
      ...mediator,
      runsMax: 100,
      transports: ['ssh'],
    })),
  );
  const isUsed = (): boolean => {
    const places = Array.from({ length: 3 }, slots.takeFree);
    for (const giveBack of places) giveBack?.();
    return places.includes(undefined);
  };

  const reserve = (
    plan: Partial<Plan> = {},
    knownPlacement = (address: string): Placement | undefined => ({ address, instanceId: 'one' }),
  ): ReservedRuns => {
    const whole = planOf(NODES, plan);
    const runs = NODES.map((node, position) => newRun(position, `run-${node}`, node));
    const intent = { plan: whole, runs: new Map(whole.runs.map((run) => [run.node.name, run])) };
    return reserveRuns('execution', runs, intent, { slots, mediators, dispatcher: { knownPlacement } });
  };
  const placed = ({ runs }: ReservedRuns): string[] =>
    runs.flatMap(({ node, placement }) => (placement === undefined ? [] : [node]));

  it('are placed as far as there is a place for them, which they keep where that is recorded', () => {
    const first = reserve();
    assert.deepEqual(placed(first), ['a', 'b', 'c']);
    assert.deepEqual(placed(reserve()), [], 'a place was given twice');

    const { runs, reserved } = first.keep(new Set([0, 2]));
    assert.deepEqual(
      runs.map(({ mediator, lmmInstanceId, attempt }) => `${mediator} ${lmmInstanceId} ${attempt}`),
      ['m:1 one 1', '  0', 'm:1 one 1', '  0'],
    );
    assert.deepEqual([...reserved.keys()], [0, 2]);
    first.giveBack();
    const other = reserve();
    assert.deepEqual(placed(other), ['a'], 'the place of the one that is not recorded as placed is free');
    other.giveBack();

    for (const { giveBack, end } of reserved.values()) {
      giveBack();
      end();
    }
    assert.ok(!isUsed());
  });

  it('give everything back when the execution is not recorded', () => {
    const reserved = reserve();
    assert.ok(isUsed());
    reserved.giveBack();
    reserved.giveBack();
    assert.ok(!isUsed());
    assert.deepEqual([...reserved.keep(ALL).reserved.keys()], []);
  });

  it('are placed no further than the first batch goes, and no more than begin at once', () => {
    const rollout = { canary: true, batchSize: 2, failuresMax: Infinity };
    for (const [plan, expected] of [
      [{ rollout }, ['a']],
      [{ rollout: { ...rollout, canary: false } }, ['a', 'b']],
      [{ maxParallel: 1 }, ['a']],
    ] as const) {
      const reserved = reserve(plan);
      assert.deepEqual(placed(reserved), expected);
      reserved.giveBack();
    }
  });

  it('are not placed where their mediator has not answered yet', () => {
    const reserved = reserve({}, () => undefined);
    assert.deepEqual(placed(reserved), []);
    assert.ok(!isUsed());
  });

  it('are as many as their mediator takes', () => {
    const ends = Array.from({ length: 98 }, () => mediators.begin('m:1'));
    const reserved = reserve();
    assert.deepEqual(placed(reserved), ['a', 'b']);
    reserved.giveBack();
    for (const end of ends) end();
    assert.ok(!isUsed());
  });

  it('say what they need to have besides', () => {
    const limit = { action: 'noop', max: 2 };
    const reserved = reserve({ locksNodes: true, limit, queueWaitMs: 5 });
    assert.deepEqual(reserved.runs[1]?.placement?.lock, { key: 'b', limit, runId: 'run-b', waitMs: 5 });
    reserved.giveBack();
  });
});
