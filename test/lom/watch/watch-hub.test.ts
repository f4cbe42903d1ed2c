import assert from 'node:assert/strict';
import type { EventRecord } from '../../../services/lom/store/store.js';
import { createWatchHub } from '../../../services/lom/watch/watch-hub.js';

const event = (seq: number, bytes = 10): EventRecord => ({
  seq,
  node: '',
  kind: 'log',
  body: Buffer.alloc(bytes),
});
const { signal } = new AbortController();
const LONG_MS = 60_000;
const MUCH = 1024 * 1024;

describe('what somebody who looks at an execution knows without the store', () => {
  it('is the newest events that were recorded here since somebody looks', () => {
    const hub = createWatchHub();
    hub.notify('one', event(1));
    const subscription = hub.subscribe('one');
    assert.equal(subscription.recent(1, MUCH), undefined);
    hub.notify('one', event(2));
    hub.notify('one', event(3));
    hub.notify('other', event(9));
    const seqs = (fromSeq: number) => subscription.recent(fromSeq, MUCH)?.map(({ seq }) => seq);
    assert.deepEqual([1, 2, 3, 4].map(seqs), [undefined, [2, 3], [3], []]);
  });

  it('is nothing once another process may have recorded more, and the newest again afterwards', () => {
    const hub = createWatchHub();
    const subscription = hub.subscribe('one');
    hub.notify('one', event(2));
    hub.notify('one');
    assert.equal(subscription.recent(3, MUCH), undefined);
    hub.notify('one', event(7));
    assert.equal(subscription.recent(3, MUCH), undefined);
    assert.deepEqual(subscription.recent(7, MUCH), [event(7)]);
  });

  it('has no gap where an execution came back from another owner', () => {
    const hub = createWatchHub();
    const subscription = hub.subscribe('one');
    hub.notify('one', event(2));
    hub.notify('one', event(5));
    assert.equal(subscription.recent(3, MUCH), undefined);
  });

  it('is shown a page at a time, and at least one event', () => {
    const hub = createWatchHub();
    const subscription = hub.subscribe('one');
    for (let seq = 1; seq <= 5; seq += 1) hub.notify('one', event(seq));
    const seqs = (bytesMax: number) => subscription.recent(2, bytesMax)?.map(({ seq }) => seq);
    assert.deepEqual([1, 20, 21, 1000].map(seqs), [[2], [2, 3], [2, 3, 4], [2, 3, 4, 5]]);
  });

  it('is bounded in bytes, the oldest go first, also a single one that is too large', () => {
    const hub = createWatchHub();
    const subscription = hub.subscribe('one');
    for (let seq = 1; seq <= 5; seq += 1) hub.notify('one', event(seq, 600_000));
    assert.equal(subscription.recent(2, 10 * MUCH), undefined);
    assert.equal(subscription.recent(3, 10 * MUCH)?.length, 3);
    hub.notify('one', event(6, 3_000_000));
    assert.equal(subscription.recent(6, MUCH), undefined);
  });

  it('is bounded for all executions together, and little is left to each one then', () => {
    const hub = createWatchHub();
    const subscriptions = Array.from({ length: 20 }, (_, index) => hub.subscribe(`${index}`));
    for (const index of subscriptions.keys()) hub.notify(`${index}`, event(1, 1_000_000));
    const kept = subscriptions.filter((subscription) => subscription.recent(1, MUCH) !== undefined);
    assert.equal(kept.length, 16);
    hub.notify('19', event(2, 60_000));
    assert.equal(subscriptions.at(-1)?.recent(2, MUCH)?.length, 1);
    for (const subscription of subscriptions.slice(0, 10)) subscription.end();
    hub.notify('18', event(2, 1_000_000));
    assert.equal(subscriptions[18]?.recent(2, MUCH)?.length, 1);
  });

  it('goes with the last one who looks', () => {
    const hub = createWatchHub();
    const [first, second] = [hub.subscribe('one'), hub.subscribe('one')];
    hub.notify('one', event(1));
    first.end();
    assert.equal(second.recent(1, MUCH)?.length, 1);
    second.end();
    assert.equal(hub.subscribe('one').recent(1, MUCH), undefined);
  });

  it('is known to have changed, or not to have within a time', async () => {
    const hub = createWatchHub();
    const subscription = hub.subscribe('one');
    hub.notify('one', event(1));
    assert.equal(await subscription.changed(LONG_MS, signal), true);
    assert.equal(await subscription.changed(1, signal), false);
  });
});
