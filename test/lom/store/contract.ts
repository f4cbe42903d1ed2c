import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { ExecutionState, RunState } from '../../../services/shared/gen/rune/v1/run.js';
import type { ExecutionChange, ExecutionFilter, Store } from '../../../services/lom/store/store.js';
import { newId } from '../../../services/shared/messages/ids.js';
import { limitContract } from './limit-contract.js';
import { lockContract } from './lock-contract.js';
import { moduleContract } from './module-contract.js';
import { allEvents, create, event, newExecution } from './new-execution.js';
import { placementContract } from './placement-contract.js';

const HOUR_MS = 3_600_000;
const NOTHING = { events: [], runs: [] } as const;

/** What every store does, whatever its database. `open` opens a store that holds nothing yet; the caller closes it. */
export function storeContract(open: () => Promise<Store>): void {
  let store: Store;
  before(async () => {
    store = await open();
  });
  after(() => store.close());

  describe('createExecution', () => {
    it('records everything, and texts as they are', async () => {
      const strange = 'NUL \0, SUB \u001a, \u001a0, quote \' " \\, {a,b}, Ünïcode 🚀';
      const wanted = newExecution({
        nodes: ['web01', strange],
        reason: strange,
        action: strange,
        triggeredBy: strange,
        correlationId: strange,
        dryRun: true,
        rerunOf: newId(),
        request: Buffer.from([0, 1, 255, 0]),
        event: { ...event(1, '', 'execution'), body: Buffer.from([0, 92, 34, 0]) },
      });
      const before = Date.now();
      const { execution, existing } = await store.createExecution(wanted, HOUR_MS);
      assert.equal(existing, false);
      const { runs, event: first, requestDigest: _, ...rest } = wanted;
      const { createdMs, ...others } = execution;
      const fresh = { endedMs: 0, lastSeq: 1, cancelAsked: false, cancelReason: '', epoch: 1 };
      assert.deepEqual(others, { ...rest, ...fresh, runs: 2 });
      assert.ok(Math.abs(createdMs - before) < HOUR_MS);
      assert.deepEqual(await store.execution(wanted.id), execution);
      assert.deepEqual(await allEvents(store, wanted.id), [first]);
      assert.deepEqual(
        (await store.runs(wanted.id, { after: -1, limit: 10 })).map(({ runId, node }) => ({ runId, node })),
        runs,
      );
      assert.deepEqual(
        (await store.executions({ triggeredBy: strange, node: strange }, 10)).map(({ id }) => id),
        [wanted.id],
      );
    });

    it('knows no execution that was not created', async () => {
      assert.equal(await store.execution(newId()), undefined);
      assert.deepEqual(await allEvents(store, newId()), []);
    });

    it('gives the same execution for the same request id of the same caller', async () => {
      const requestId = newId();
      const first = await store.createExecution(newExecution({ requestId }), HOUR_MS);
      const second = await store.createExecution(newExecution({ requestId }), HOUR_MS);
      assert.deepEqual(second, { ...first, existing: true });
      const other = await store.createExecution(newExecution({ requestId, triggeredBy: 'bob' }), HOUR_MS);
      assert.equal(other.existing, false);
    });

    it('refuses a request id that was used for something else', async () => {
      const requestId = newId();
      const { execution } = await store.createExecution(newExecution({ requestId }), HOUR_MS);
      const other = newExecution({ requestId, requestDigest: Buffer.from('other') });
      await assert.rejects(store.createExecution(other, HOUR_MS), (error: Error) => {
        assert.equal(error.name, 'REQUEST_ID_REUSED');
        assert.ok(error.message.includes(execution.id));
        return true;
      });
      assert.equal(await store.execution(other.id), undefined);
    });

    it('forgets a request id after its time', async () => {
      const requestId = newId();
      const first = await store.createExecution(newExecution({ requestId }), HOUR_MS);
      // No time is long enough for an age that is below zero.
      const second = await store.createExecution(newExecution({ requestId }), -1);
      assert.equal(second.existing, false);
      assert.notEqual(second.execution.id, first.execution.id);
      assert.equal((await store.execution(first.execution.id))?.requestId, '');
      const third = await store.createExecution(newExecution({ requestId }), HOUR_MS);
      assert.equal(third.execution.id, second.execution.id);
    });

    it('is harmless when it is repeated, because nobody knows whether it took place', async () => {
      const wanted = newExecution();
      const first = await store.createExecution(wanted, HOUR_MS);
      assert.deepEqual(await store.createExecution(wanted, HOUR_MS), first);
      assert.equal((await allEvents(store, wanted.id)).length, 1);
    });

    it('lets a call that fails disturb no other one at the same time', async () => {
      const good = [newExecution(), newExecution({ requestId: newId() })];
      const bad = newExecution({ state: Number.NaN as ExecutionState });
      const [first, failed, last] = await Promise.allSettled(
        [good[0], bad, good[1]].map((each = bad) => store.createExecution(each, HOUR_MS)),
      );
      assert.deepEqual([first?.status, failed?.status, last?.status], ['fulfilled', 'rejected', 'fulfilled']);
      for (const { id } of good) assert.equal((await allEvents(store, id)).length, 1);
      assert.equal(await store.execution(bad.id), undefined);
    });

    it('makes one execution of many calls at once', async () => {
      const requestId = newId();
      const calls = Array.from({ length: 50 }, () =>
        store.createExecution(newExecution({ requestId }), HOUR_MS),
      );
      const answers = await Promise.all(calls);
      assert.equal(new Set(answers.map(({ execution }) => execution.id)).size, 1);
      assert.equal(answers.filter(({ existing }) => !existing).length, 1);
    });
  });

  describe('commit', () => {
    it('records events, runs and states together', async () => {
      const id = await create(store, { nodes: ['a', 'b'] });
      const placed = { mediator: 'lmm:50052', lmmInstanceId: 'i1', attempt: 1, placedMs: 5 };
      const refused = await store.commit([
        { executionId: id, epoch: 1, events: [], runs: [{ position: 1, ...placed }] },
      ]);
      assert.deepEqual(refused, new Set());
      const started = { state: RunState.RUNNING, startedMs: 7, mediatorEvent: 3, logBytes: 11 };
      const events = [event(2, 'b', 'state'), event(3, 'b', 'log')];
      await store.commit([
        {
          executionId: id,
          epoch: 1,
          events,
          runs: [{ position: 1, ...started }],
          state: ExecutionState.RUNNING,
        },
      ]);
      const [, run] = await store.runs(id, { after: -1, limit: 10 });
      assert.ok(run !== undefined);
      const { runId, ...rest } = run;
      assert.deepEqual(rest, { position: 1, node: 'b', ...placed, ...started, endedMs: 0, outcomeSeq: 0 });
      const record = await store.execution(id);
      assert.deepEqual([record?.state, record?.lastSeq, record?.endedMs], [ExecutionState.RUNNING, 3, 0]);
      assert.deepEqual((await allEvents(store, id)).slice(1), events);

      await store.commit([
        {
          executionId: id,
          epoch: 1,
          events: [event(4, 'b', 'outcome'), event(5, '', 'execution')],
          runs: [{ position: 1, state: RunState.SUCCEEDED, endedMs: 9, outcomeSeq: 4 }],
          state: ExecutionState.SUCCEEDED,
          ended: true,
        },
      ]);
      const ended = await store.execution(id);
      assert.equal(ended?.state, ExecutionState.SUCCEEDED);
      assert.ok(ended.endedMs >= ended.createdMs);
      assert.deepEqual(
        (await store.runCounts([id])).get(id),
        new Map([
          [RunState.QUEUED, 1],
          [RunState.SUCCEEDED, 1],
        ]),
      );
      assert.equal((await store.runs(id, { after: -1, limit: 1 }))[0]?.runId === runId, false);
    });

    it('refuses changes of an older epoch or of no execution, and records the others', async () => {
      const [mine, lost] = [await create(store), await create(store)];
      const gone = newId();
      const change = (executionId: string, epoch: number): ExecutionChange => ({
        executionId,
        epoch,
        events: [event(2, 'web01', 'state')],
        runs: [{ position: 0, state: RunState.RUNNING }],
      });
      const refused = await store.commit([change(lost, 7), change(mine, 1), change(gone, 1)]);
      assert.deepEqual(refused, new Set([lost, gone]));
      assert.equal((await allEvents(store, mine)).length, 2);
      assert.equal((await allEvents(store, lost)).length, 1);
      assert.deepEqual(await allEvents(store, gone), []);
      assert.deepEqual((await store.runCounts([lost])).get(lost), new Map([[RunState.QUEUED, 1]]));
    });

    for (const [what, seqs] of [
      ['leave a gap after what is recorded', [3]],
      ['leave a gap among themselves', [2, 4]],
      ['overlap what is recorded', [1, 2]],
    ] as const) {
      it(`records nothing of a call with events that ${what}`, async () => {
        const [good, bad] = [await create(store), await create(store)];
        const events = seqs.map((seq) => event(seq, 'web01', 'log'));
        const changes = [
          { executionId: good, epoch: 1, events: [event(2, 'web01', 'log')], runs: [] },
          { executionId: bad, epoch: 1, events, runs: [{ position: 0, attempt: 4 }] },
        ];
        await assert.rejects(store.commit(changes), { name: 'INTERNAL' });
        assert.equal((await allEvents(store, good)).length, 1);
        assert.equal((await allEvents(store, bad)).length, 1);
        assert.equal((await store.runs(bad, { after: -1, limit: 1 }))[0]?.attempt, 0);
        // The store goes on.
        assert.deepEqual(await store.commit(changes.slice(0, 1)), new Set());
      });
    }

    it('is harmless when it is repeated', async () => {
      const id = await create(store);
      const change = { executionId: id, epoch: 1, events: [event(2, 'web01', 'log')], runs: [] };
      await store.commit([change]);
      assert.deepEqual(await store.commit([change]), new Set());
      assert.equal((await store.execution(id))?.lastSeq, 2);
      assert.deepEqual(await store.commit([{ ...change, epoch: 0 }]), new Set([id]));
    });

    it('takes nothing, and changes without events', async () => {
      const id = await create(store);
      assert.deepEqual(await store.commit([]), new Set());
      assert.deepEqual(await store.commit([{ executionId: id, epoch: 1, ...NOTHING }]), new Set());
      assert.equal((await store.execution(id))?.lastSeq, 1);
    });
  });

  it('holds 10,000 runs, changed in one call and read in pages', async () => {
    const nodes = Array.from({ length: 10_000 }, (_, index) => `node${index}`);
    const id = await create(store, { nodes });
    await store.commit([
      {
        executionId: id,
        epoch: 1,
        events: nodes.map((node, index) => event(index + 2, node, 'outcome')),
        runs: nodes.map((_, position) => ({
          position,
          outcomeSeq: position + 2,
          state: position % 100 === 0 ? RunState.FAILED : RunState.SUCCEEDED,
        })),
      },
    ]);
    assert.deepEqual(
      (await store.runCounts([id])).get(id),
      new Map([
        [RunState.SUCCEEDED, 9_900],
        [RunState.FAILED, 100],
      ]),
    );
    const seen: string[] = [];
    for (;;) {
      const page = await store.runs(id, { after: seen.length - 1, limit: 3_000 });
      if (page.length === 0) break;
      seen.push(...page.map(({ node }) => node));
    }
    assert.deepEqual(seen, nodes);
    const failed = await store.runs(id, { after: 100, limit: 50, states: [RunState.FAILED] });
    assert.deepEqual(
      failed.map(({ position }) => position),
      Array.from({ length: 50 }, (_, index) => (index + 2) * 100),
    );
    assert.equal((await allEvents(store, id)).length, 10_001);
  });

  describe('events', () => {
    let id: string;
    before(async () => {
      id = await create(store, { nodes: ['a', 'b'] });
      const kinds = ['state', 'log', 'log', 'outcome'] as const;
      const events = Array.from({ length: 2_400 }, (_, index) =>
        event(index + 2, index % 2 === 0 ? 'a' : 'b', kinds[index % 4] ?? 'log', 100),
      );
      await store.commit([{ executionId: id, epoch: 1, events, runs: [] }]);
    });
    const seqs = async (range: Partial<Parameters<Store['events']>[1]>): Promise<number[]> =>
      (await store.events(id, { fromSeq: 1, bytesMax: 1_000_000, ...range })).map(({ seq }) => seq);

    it('are read from any of them on, to the last', async () => {
      assert.equal((await seqs({})).length, 2_401);
      assert.deepEqual(await seqs({ fromSeq: 2_400 }), [2_400, 2_401]);
      assert.deepEqual(await seqs({ fromSeq: 2_402 }), []);
    });

    it('end with the one that reaches the bytes, but with one at least', async () => {
      assert.deepEqual(await seqs({ fromSeq: 2, bytesMax: 300 }), [2, 3, 4]);
      assert.deepEqual(await seqs({ fromSeq: 2, bytesMax: 301 }), [2, 3, 4, 5]);
      assert.deepEqual(await seqs({ fromSeq: 2, bytesMax: 1 }), [2]);
      assert.equal((await seqs({ bytesMax: 150_000 })).length, 1_501);
    });

    it('come back as they were whatever their size, of which they count in full', async () => {
      const large = await create(store);
      const text = Buffer.from('a line of log that is much like the one before it\n'.repeat(2_000));
      const bodies = [
        text,
        randomBytes(100_000),
        text.subarray(0, 4_096),
        randomBytes(4_096),
        text.subarray(1, 4_096),
      ];
      const events = bodies.map((body, index) => ({ ...event(index + 2, 'web01', 'log'), body }));
      await store.commit([{ executionId: large, epoch: 1, events, runs: [] }]);
      assert.deepEqual((await allEvents(store, large)).slice(1), events);
      const page = await store.events(large, { fromSeq: 2, bytesMax: 100_001 });
      assert.deepEqual(page, events.slice(0, 2));
    });

    it('are those of the nodes and of the kinds', async () => {
      assert.deepEqual(await seqs({ fromSeq: 2_397, nodes: ['b'] }), [2_397, 2_399, 2_401]);
      assert.deepEqual((await seqs({ nodes: [] })).length, 1);
      assert.deepEqual(await seqs({ nodes: ['a'], kinds: ['execution', 'state'], bytesMax: 150 }), [1, 2, 6]);
      assert.deepEqual(await seqs({ kinds: [] }), []);
    });
  });

  describe('executions', () => {
    const tag = newId();
    let ids: string[];
    before(async () => {
      const given = [
        { action: 'one', nodes: ['x'] },
        { action: 'two', nodes: ['x', 'y'] },
        { action: 'one', nodes: ['y'], triggeredBy: 'carol' },
        { action: 'two', nodes: ['z'], state: ExecutionState.PENDING_APPROVAL },
      ];
      ids = [];
      for (const each of given) ids.push(await create(store, { correlationId: tag, ...each }));
    });
    const list = async (filter: ExecutionFilter, limit = 10, before?: string): Promise<number[]> =>
      (await store.executions({ correlationId: tag, ...filter }, limit, before)).map(({ id }) =>
        ids.indexOf(id),
      );

    it('have the counts of their runs all at once', async () => {
      const [one, two] = [await create(store, { nodes: ['a', 'b'] }), await create(store, { nodes: ['a'] })];
      const counts = await store.runCounts([one, two, 'none']);
      assert.deepEqual(
        [one, two, 'none'].map((id) => [...(counts.get(id) ?? [])]),
        [[[RunState.QUEUED, 2]], [[RunState.QUEUED, 1]], []],
      );
      assert.deepEqual(await store.runCounts([]), new Map());
    });

    it('are listed newest first, without their requests', async () => {
      assert.deepEqual(await list({}), [3, 2, 1, 0]);
      const [newest] = await store.executions({ correlationId: tag }, 1);
      assert.equal(newest?.request.length, 0);
    });

    it('are narrowed by every part of the filter, and by several', async () => {
      assert.deepEqual(await list({ action: 'one' }), [2, 0]);
      assert.deepEqual(await list({ node: 'x' }), [1, 0]);
      assert.deepEqual(await list({ node: 'y', action: 'two' }), [1]);
      assert.deepEqual(await list({ triggeredBy: 'carol' }), [2]);
      const { QUEUED, PENDING_APPROVAL, FAILED } = ExecutionState;
      assert.deepEqual(await list({ states: [PENDING_APPROVAL] }), [3]);
      assert.deepEqual(await list({ states: [PENDING_APPROVAL, QUEUED, FAILED] }), [3, 2, 1, 0]);
      assert.deepEqual(await list({ states: [] }), []);
      assert.deepEqual(await list({ correlationId: 'nobody' }), []);
    });

    it('are narrowed by the time at which they were created', async () => {
      const times = await Promise.all(ids.map(async (id) => (await store.execution(id))?.createdMs ?? 0));
      const [first = 0, , third = 0] = times;
      const since = (ms: number): number[] => [3, 2, 1, 0].filter((index) => (times[index] ?? 0) >= ms);
      assert.deepEqual(await list({ sinceMs: third }), since(third));
      assert.deepEqual(
        await list({ sinceMs: first, untilMs: third }),
        since(first).filter((index) => (times[index] ?? 0) < third),
      );
      assert.deepEqual(await list({ untilMs: first }), []);
      assert.deepEqual(await list({ sinceMs: Date.now() + HOUR_MS }), []);
    });

    it('come in pages that stay as they are while others are created', async () => {
      assert.deepEqual(await list({}, 2), [3, 2]);
      await create(store, { correlationId: tag });
      assert.deepEqual(await list({}, 2, ids[2]), [1, 0]);
      assert.deepEqual(await list({ node: 'y' }, 2, ids[2]), [1]);
      assert.deepEqual(await list({}, 2, ids[0]), []);
    });
  });

  describe('askCancel', () => {
    it('keeps the first reason and tells who listens', async () => {
      const owner = newId();
      const id = await create(store, { owner });
      const heard: string[] = [];
      store.onChange((executionId) => void heard.push(executionId));
      const asked = await store.askCancel(id, 'wrong \0 node');
      assert.deepEqual([asked?.cancelAsked, asked?.cancelReason], [true, 'wrong \0 node']);
      assert.equal((await store.askCancel(id, 'again'))?.cancelReason, 'wrong \0 node');
      assert.deepEqual(await store.cancelsAsked(owner), [{ id, reason: 'wrong \0 node' }]);
      assert.ok(heard.includes(id));
      assert.deepEqual(await store.cancelsAsked(newId()), []);
    });

    it('changes nothing that has ended, and knows what is not there', async () => {
      const owner = newId();
      const id = await create(store, { owner });
      const state = ExecutionState.SUCCEEDED;
      await store.commit([{ executionId: id, epoch: 1, ...NOTHING, state, ended: true }]);
      assert.equal((await store.askCancel(id, 'late'))?.cancelAsked, false);
      assert.deepEqual(await store.cancelsAsked(owner), []);
      assert.equal(await store.askCancel(newId(), 'what'), undefined);
    });
  });

  it('takes over from who is gone, and refuses what that one still writes', async () => {
    const [old, next] = [newId(), newId()];
    const [running, ended] = [await create(store, { owner: old }), await create(store, { owner: old })];
    const state = ExecutionState.FAILED;
    await store.commit([{ executionId: ended, epoch: 1, ...NOTHING, state, ended: true }]);
    await store.renewLease(next, HOUR_MS);
    const taken = [];
    for (let page = await store.takeOver(next, 2); page.length > 0; page = await store.takeOver(next, 2)) {
      taken.push(...page);
    }
    const mine = taken.find(({ id }) => id === running);
    assert.deepEqual([mine?.owner, mine?.epoch, mine?.request], [next, 2, Buffer.from('request')]);
    assert.ok(!taken.some(({ id }) => id === ended));
    assert.deepEqual(await store.execution(running), mine);

    const change = { executionId: running, events: [event(2, 'web01', 'state')], runs: [] };
    assert.deepEqual(await store.commit([{ ...change, epoch: 1 }]), new Set([running]));
    assert.equal((await allEvents(store, running)).length, 1);
    assert.deepEqual(await store.commit([{ ...change, epoch: 2 }]), new Set());
  });

  it('gives an owner what it dropped itself, with the next epoch, and nothing of it that has ended', async () => {
    const owner = newId();
    await store.renewLease(owner, HOUR_MS);
    const [dropped, kept, ended] = [
      await create(store, { owner }),
      await create(store, { owner }),
      await create(store, { owner }),
    ];
    const state = ExecutionState.FAILED;
    await store.commit([{ executionId: ended, epoch: 1, ...NOTHING, state, ended: true }]);
    assert.deepEqual(await store.unfinished(owner), [dropped, kept]);
    const taken = await store.takeOver(owner, 1000, [dropped, ended]);
    const mine = taken.filter(({ id }) => [dropped, kept, ended].includes(id));
    assert.deepEqual(
      mine.map(({ id, epoch }) => [id, epoch]),
      [[dropped, 2]],
    );
    assert.equal((await store.execution(kept))?.epoch, 1);
  });

  it('knows for how long a sent run has not been heard of since its execution changed its owner', async () => {
    const owner = newId();
    const id = await create(store, { owner, nodes: ['sent', 'heard', 'ended', 'waiting'] });
    const sent = { mediator: 'lmm:50052', lmmInstanceId: 'i1', attempt: 1 };
    const change = (epoch: number, runs: ExecutionChange['runs']): Promise<unknown> =>
      store.commit([{ executionId: id, epoch, events: [], runs }]);
    await change(1, [
      { position: 0, ...sent },
      { position: 1, ...sent },
      { position: 2, ...sent, state: RunState.FAILED, endedMs: 5 },
    ]);
    assert.equal((await store.awayMs(id)).size, 0);
    await store.takeOver(owner, 1000, [id]);
    await delay(30);
    await store.takeOver(owner, 1000, [id]);
    const away = await store.awayMs(id);
    assert.deepEqual(new Set(away.keys()), new Set([0, 1]));
    assert.ok((away.get(0) ?? 0) >= 25, `${away.get(0)} ms`);
    await change(3, [{ position: 1, mediatorEvent: 4 }]);
    assert.deepEqual([...(await store.awayMs(id)).keys()], [0]);
  });

  it('deletes ended executions by age and by number, with all that belongs to them', async () => {
    const fresh = await open();
    try {
      const ids: string[] = [];
      for (let index = 0; index < 6; index += 1) ids.push(await create(fresh, { nodes: ['a', 'b'] }));
      const [first = '', second = '', third = '', , running = ''] = ids;
      const state = ExecutionState.SUCCEEDED;
      for (const id of ids.filter((each) => each !== running)) {
        await fresh.commit([{ executionId: id, epoch: 1, ...NOTHING, state, ended: true }]);
      }
      assert.equal(await fresh.deleteOld(HOUR_MS, 10, 10), 0);
      assert.equal(await fresh.deleteOld(HOUR_MS, 3, 1), 1);
      assert.equal(await fresh.deleteOld(HOUR_MS, 3, 10), 1);
      assert.equal(await fresh.deleteOld(HOUR_MS, 3, 10), 0);
      const left = (await fresh.executions({}, 10)).map(({ id }) => id);
      assert.deepEqual(left, ids.slice(2).toReversed());
      for (const id of [first, second]) {
        assert.equal(await fresh.execution(id), undefined);
        assert.deepEqual(await allEvents(fresh, id), []);
        assert.deepEqual(await fresh.runs(id, { after: -1, limit: 10 }), []);
        assert.deepEqual((await fresh.runCounts([id])).get(id), new Map());
      }
      assert.equal((await allEvents(fresh, third)).length, 1);
      assert.equal(await fresh.deleteOld(0, 10, 10), 3);
      assert.deepEqual(
        (await fresh.executions({}, 10)).map(({ id }) => id),
        [running],
      );
    } finally {
      await fresh.close();
    }
  });

  lockContract(() => store, open);
  limitContract(() => store, open);
  placementContract(() => store);
  moduleContract(() => store);

  it('has a key of 32 bytes', () => {
    assert.equal(store.serverKey.length, 32);
    assert.notDeepEqual(store.serverKey, Buffer.alloc(32));
  });
}
