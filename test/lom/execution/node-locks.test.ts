import assert from 'node:assert/strict';
import { join } from 'node:path';
import { createLockTurns } from '../../../services/lom/execution/lock-turns.js';
import type { Plan } from '../../../services/lom/plan/plan.js';
import { openStore } from '../../../services/lom/store/open-store.js';
import type { Store } from '../../../services/lom/store/store.js';
import { toEps } from '../../../services/shared/messages/eps.js';
import { RuneError } from '../../../services/shared/errors.js';
import { ExecutionState, Outcome, RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { eventually } from '../../support/eventually.js';
import { guardedNodes, outcomeOf, type GuardedNodes } from '../../support/guarded-nodes.js';
import {
  executeRecorded,
  planOf,
  recordExecution,
  resumeExecution,
  type PerformFields,
  type RecordedExecution,
} from '../../support/recorded-execution.js';
import { recordingLogger } from '../../support/recording-logger.js';
import {
  accepted,
  ended,
  running,
  scriptedMediators,
  succeed,
  type Script,
} from '../../support/scripted-mediators.js';
import { makeTempDirectory, type TempDirectory } from '../../support/temp-directory.js';

const HOUR_MS = 3_600_000;

describe('the lock of a node', () => {
  let directory: TempDirectory;
  let store: Store;
  const turns = createLockTurns(HOUR_MS);

  before(async () => {
    directory = await makeTempDirectory();
    const settings = { storeConnectTimeoutMs: 1000, storeStatementTimeoutMs: 1000, storeConnectionsMax: 2 };
    store = await openStore(join(directory.path, 'rune.db'), settings, recordingLogger().logger);
    store.onRelease(turns.wake);
  });
  after(async () => {
    await store.close();
    await directory.remove();
  });

  let nodes: GuardedNodes;
  let count = 0;
  /** The node of a test is nobody else's. */
  let key: string;
  beforeEach(() => {
    nodes = guardedNodes();
    count += 1;
    key = `node-${count}`;
  });

  const mutating = (names: readonly string[], fields: Partial<Plan> = {}): Plan => {
    const plan = planOf(names, { locksNodes: true, queueWaitMs: HOUR_MS, ...fields });
    return {
      ...plan,
      runs: plan.runs.map((run) => ({ ...run, node: { ...run.node, lockKey: `${key}/${run.node.name}` } })),
    };
  };
  const execute = (plan: Plan, fields: PerformFields = {}): Promise<RecordedExecution> =>
    executeRecorded(store, plan, scriptedMediators({ start: nodes.start }), { turns, ...fields });
  const waiting = async (execution: RecordedExecution, place: number): Promise<unknown> =>
    eventually(
      async () => (await store.lockWaits(execution.id, { after: -1, limit: 1 })).get(0)?.place === place,
      { label: `place ${place} in the queue` },
    );
  const onNode = (executions: number): Promise<unknown> =>
    eventually(() => nodes.begun.length === executions, { label: `${executions} runs` });

  it('lets mutating runs on a node one after the other, in the order in which they came', async () => {
    const first = await execute(mutating(['a']));
    await onNode(1);
    const others: RecordedExecution[] = [];
    for (let place = 1; place <= 5; place += 1) {
      const next = await execute(mutating(['a']));
      others.push(next);
      await waiting(next, place);
    }
    const all = [first, ...others];
    for (const [index, { id, finished }] of all.entries()) {
      await onNode(index + 1);
      nodes.release(id);
      await finished;
    }
    assert.deepEqual(
      nodes.begun,
      all.map(({ id }) => id),
    );
    assert.equal(nodes.overlaps(), 0);
    assert.ok(all.every(({ state }) => state === ExecutionState.SUCCEEDED));
  });

  it('is told to those who wait: who has it, which place they have, and until when they wait', async () => {
    const first = await execute(mutating(['a']));
    await onNode(1);
    const second = await execute(mutating(['a']));
    await waiting(second, 1);
    nodes.release(first.id);
    nodes.release(second.id);
    const events = await second.events();
    const waits = events.flatMap(({ node, event }) =>
      event?.$case === 'waiting' ? [[node, event.value] as const] : [],
    );
    assert.equal(waits.length, 1);
    const [node, wait] = waits[0] ?? [];
    assert.equal(node, 'a');
    assert.deepEqual(
      [wait?.place, wait?.holder?.executionId, wait?.holder?.action, wait?.holder?.until],
      [1, first.id, 'noop', undefined],
    );
    assert.equal(Number(wait?.until) - Number(wait?.askedAt), HOUR_MS);
  });

  it('is nothing to runs that change nothing', async () => {
    const [one, other] = [await execute(planOf(['a'])), await execute(planOf(['a']))];
    await onNode(2);
    for (const { id, finished } of [one, other]) {
      nodes.release(id);
      await finished;
    }
  });

  it('is refused at once to those who do not want to wait, naming who has it', async () => {
    const first = await execute(mutating(['a']));
    await onNode(1);
    const second = await execute(mutating(['a'], { queueWaitMs: 0 }));
    const outcome = outcomeOf(await second.events());
    assert.equal(outcome?.state, RunState.FAILED);
    assert.equal(outcome.startedAt, undefined);
    assert.equal(outcome.error?.errorData?.name, 'NODE_LOCKED');
    assert.ok(outcome.error.errorData.message.includes(first.id), outcome.error.errorData.message);
    nodes.release(first.id);
    await first.finished;
    assert.equal(nodes.begun.length, 1);
  });

  it('is waited for until the time is over, and then the run has never started', async () => {
    const first = await execute(mutating(['a']));
    await onNode(1);
    const second = await execute(mutating(['a'], { queueWaitMs: 50 }));
    const outcome = outcomeOf(await second.events());
    assert.equal(outcome?.error?.errorData?.name, 'NODE_LOCKED');
    assert.ok(outcome.error.errorData.message.includes(first.id), outcome.error.errorData.message);
    assert.deepEqual((await store.lockWaits(second.id, { after: -1, limit: 1 })).size, 0);
    nodes.release(first.id);
    await first.finished;
    assert.equal(nodes.begun.length, 1);
  });

  it('leaves the places of those who wait for it to others', async () => {
    const first = await execute(mutating(['a']));
    await onNode(1);
    // One place, and the run that waits for its node comes before the one that does not.
    const second = await execute(mutating(['a', 'b']), { runsMax: 1 });
    await onNode(2);
    nodes.release(second.id);
    await eventually(() => second.counts.get(RunState.SUCCEEDED) === 1, {
      label: 'the run on the other node',
    });
    nodes.release(first.id);
    await second.finished;
    assert.equal(second.state, ExecutionState.SUCCEEDED);
    assert.equal(nodes.overlaps(), 0);
  });

  it('is not waited for any more once the execution is cancelled, and the next one moves up', async () => {
    const first = await execute(mutating(['a']));
    await onNode(1);
    const second = await execute(mutating(['a']));
    await waiting(second, 1);
    const third = await execute(mutating(['a']));
    await waiting(third, 2);
    second.cancel('enough');
    const outcome = outcomeOf(await second.events());
    assert.equal(outcome?.state, RunState.CANCELLED);
    assert.equal(outcome.cancelConfirmed, true);
    await waiting(third, 1);
    nodes.release(first.id);
    nodes.release(third.id);
    await third.finished;
    assert.deepEqual(nodes.begun, [first.id, third.id]);
  });

  it('does not start what was held back while it waited', async () => {
    const first = await execute(mutating(['b']));
    await onNode(1);
    const start: Script = async function* (node, identity, signal) {
      if (node !== 'a') {
        yield* nodes.start(node, identity, signal);
        return;
      }
      await eventually(
        async () => (await store.lockWaits(identity.executionId, { after: -1, limit: 1 })).size === 1,
        { label: 'the wait of the other run' },
      );
      yield accepted;
      yield ended(RunState.FAILED);
    };
    const plan = mutating(['a', 'b'], { rollout: { canary: false, batchSize: 2, failuresMax: 1 } });
    const second = await executeRecorded(store, plan, scriptedMediators({ start }), { turns });
    await eventually(() => second.counts.get(RunState.FAILED) === 1, { label: 'the failure' });
    nodes.release(first.id);
    const outcome = outcomeOf(await second.events(), 'b');
    assert.equal(outcome?.state, RunState.SKIPPED);
    assert.equal(outcome.error?.errorData?.name, 'RUN_HELD_BACK');
    assert.equal(nodes.begun.length, 1);
  });

  it('stays with a lost run for as long as it may be alive, and is then free by itself', async () => {
    const start: Script = async function* () {
      yield accepted;
      yield running;
      throw new RuneError('SERVICE_UNREACHABLE', 'connection reset');
    };
    const settings = { lostAfterMs: 2_000 };
    const lost = await executeRecorded(store, mutating(['a']), scriptedMediators({ start }), {
      turns,
      settings,
    });
    await lost.finished;
    assert.equal(lost.counts.get(RunState.LOST), 1);
    const refused = await execute(mutating(['a'], { queueWaitMs: 0 }));
    const error = outcomeOf(await refused.events())?.error?.errorData;
    assert.match(error?.message ?? '', /which was lost and may be alive there until 20/);

    // Its first look comes when the time is over: nobody releases what was lost.
    const patient = await execute(mutating(['a']), { turns: createLockTurns(50) });
    nodes.release(patient.id);
    await patient.finished;
    assert.equal(patient.state, ExecutionState.SUCCEEDED);
  });

  it('is refused to an action that ran there a short while ago, and to no other one', async () => {
    const plan = mutating(['a']);
    const cooling = (action: string, cooldownMs: number): Plan => ({
      ...plan,
      action: { ...plan.action, capability: { ...plan.action.capability, action, cooldownMs } },
    });
    const start: Script = async function* () {
      yield accepted;
      yield running;
      yield {
        $case: 'outcome',
        value: Outcome.fromPartial({ state: RunState.FAILED, startedAt: new Date() }),
      };
    };
    const perform = async (action: string, script = start): Promise<Outcome | undefined> => {
      const mediators = scriptedMediators({ start: script });
      const execution = await executeRecorded(store, cooling(action, HOUR_MS), mediators, { turns });
      return outcomeOf(await execution.events());
    };
    assert.equal((await perform('restart'))?.error, undefined);
    const refused = await perform('restart');
    assert.equal(refused?.error?.errorData?.name, 'NODE_COOLING_DOWN');
    assert.equal(refused.startedAt, undefined);
    assert.match(refused.error.errorData.message, /^restart may run on a again from 20/);
    // What never started does not count.
    assert.equal((await perform('reload', succeed))?.state, RunState.SUCCEEDED);
    assert.equal((await perform('reload'))?.error, undefined);
    assert.deepEqual(await store.nodeLock(`${key}/a`), { holder: undefined, waiting: 0 });
  });

  it('stays with a run between its attempts', async () => {
    const start: Script = async function* (_node, { attempt }) {
      yield accepted;
      if (attempt > 1) yield running;
      const error = toEps(new RuneError('NODE_UNREACHABLE', 'No route.'), { source: 'lmm' });
      const failed = Outcome.fromPartial({ state: RunState.FAILED, error });
      yield attempt > 1 ? ended(RunState.SUCCEEDED) : { $case: 'outcome', value: failed };
    };
    const plan = mutating(['a'], { retries: { max: 1, delayMs: 300, atLeastOnce: false } });
    const first = await executeRecorded(store, plan, scriptedMediators({ start }), { turns });
    const events = first.events();
    await eventually(async () => (await store.runs(first.id, { after: -1, limit: 1 }))[0]?.attempt === 2, {
      label: 'the pause',
    });
    const second = await execute(mutating(['a']));
    await waiting(second, 1);
    nodes.release(second.id);
    await second.finished;
    assert.equal(outcomeOf(await events)?.state, RunState.SUCCEEDED);
    const end = async (id: string): Promise<number> => (await store.execution(id))?.endedMs ?? 0;
    assert.ok((await end(first.id)) <= (await end(second.id)));
    assert.equal(second.state, ExecutionState.SUCCEEDED);
  });

  it('stays with a run that is lost and tried again, also when it is not tried again after all', async () => {
    const start: Script = async function* () {
      yield accepted;
      yield running;
      throw new RuneError('SERVICE_UNREACHABLE', 'connection reset');
    };
    const plan = mutating(['a'], { retries: { max: 1, delayMs: 1, atLeastOnce: true } });
    const mediators = scriptedMediators({ start });
    const settings = { lostAfterMs: HOUR_MS };
    const first = await executeRecorded(store, plan, mediators, { turns, settings });
    const events = first.events(({ event }) => {
      if (event?.$case === 'retry') first.cancel('enough');
    });
    const outcome = outcomeOf(await events);
    assert.equal(outcome?.state, RunState.LOST);
    assert.match(outcome.error?.errorData?.message ?? '', /not repeated: The run was cancelled before/);
    assert.equal(mediators.starts.length, 1);
    const { holder } = await store.nodeLock(`${key}/a`);
    assert.equal(holder?.executionId, first.id);
    assert.ok(holder.untilMs > Date.now() + HOUR_MS / 2);
  });

  it('keeps the place of a waiting run whose execution gets another owner', async () => {
    const first = await execute(mutating(['a']));
    await onNode(1);
    const plan = mutating(['a']);
    const second = await execute(plan);
    await waiting(second, 1);
    const third = await execute(mutating(['a']));
    await waiting(third, 2);
    second.leave();
    await second.finished;
    const [record] = await store.takeOver('me', 10, [second.id]);
    assert.equal(record?.id, second.id);
    const again = await resumeExecution(store, record, plan, scriptedMediators({ start: nodes.start }), {
      turns,
    });
    for (const { id } of [first, again, third]) nodes.release(id);
    await Promise.all([again.finished, third.finished]);
    assert.deepEqual(nodes.begun, [first.id, second.id, third.id]);
    assert.equal(nodes.overlaps(), 0);
  });

  it('stays with a run whose execution gets another owner, and is free when that one has ended it', async () => {
    const plan = mutating(['a']);
    const first = await execute(plan);
    await onNode(1);
    const second = await execute(mutating(['a']));
    await waiting(second, 1);
    first.leave();
    await first.finished;
    const [record] = await store.takeOver('me', 10, [first.id]);
    assert.ok(record !== undefined);
    assert.equal((await store.nodeLock(`${key}/a`)).holder?.executionId, first.id);
    const attach: Script = async function* () {
      yield ended(RunState.SUCCEEDED);
    };
    const again = await resumeExecution(store, record, plan, scriptedMediators({ start: succeed, attach }), {
      turns,
    });
    await again.finished;
    nodes.release(second.id);
    await second.finished;
    assert.equal(second.state, ExecutionState.SUCCEEDED);
  });

  it('does not outlive an execution that was never performed', async () => {
    const plan = mutating(['a']);
    const record = await recordExecution(store, plan);
    const first = await execute(plan);
    nodes.release(first.id);
    await first.finished;
    assert.deepEqual(await store.nodeLock(`${key}/a`), { holder: undefined, waiting: 0 });
    const late = await resumeExecution(store, record, plan, scriptedMediators({ start: succeed }), { turns });
    await late.finished;
    assert.equal(late.state, ExecutionState.SUCCEEDED);
  });
});
