import assert from 'node:assert/strict';
import { createEventQueue, type EventQueue } from '../../services/shared/event-queue.js';

interface Item {
  readonly name: string;
  readonly bytes: number;
  readonly droppable: boolean;
}

const log = (name: string, bytes = 10): Item => ({ name, bytes, droppable: true });
const fact = (name: string): Item => ({ name, bytes: 1, droppable: false });
const queueOf = (bytesMax: number): EventQueue<Item> => createEventQueue<Item>(bytesMax, (item) => item);

async function readAll(queue: EventQueue<Item>): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of queue.read(new AbortController().signal)) names.push(name);
  return names;
}

describe('the event queue', () => {
  it('hands on every event in order and ends after the last one', async () => {
    const queue = queueOf(1000);
    void queue.push(log('a'));
    const reading = readAll(queue);
    void queue.push(fact('b'));
    queue.end();
    assert.deepEqual(await reading, ['a', 'b']);
  });

  it('makes the producer wait when it is full, until the reader has made room', async () => {
    const queue = queueOf(20);
    assert.equal(queue.push(log('a')), undefined);
    const room = queue.push(log('b'));
    assert.ok(room instanceof Promise);
    const reader = queue.read(new AbortController().signal);
    let settled = false;
    void room.then(() => (settled = true));
    await reader.next();
    assert.equal(settled, false);
    await reader.next();
    const last = reader.next();
    queue.end();
    await last;
    await room;
  });

  it('drops and counts only droppable events once it is relaxed and full', async () => {
    const queue = queueOf(20);
    void queue.push(log('a'));
    const room = queue.push(log('b'));
    queue.relax();
    await room;
    assert.equal(queue.push(log('c')), undefined);
    assert.equal(queue.push(fact('end')), undefined);
    queue.end();
    assert.deepEqual(await readAll(queue), ['a', 'b', 'end']);
    assert.equal(queue.droppedBytes, 10);
  });

  it('keeps nothing for a reader that is gone for good', async () => {
    const queue = queueOf(10);
    const room = queue.push(log('a'));
    queue.abandon();
    await room;
    assert.equal(queue.push(fact('b')), undefined);
    assert.deepEqual(await readAll(queue), []);
  });

  it('fails its reader and lets the producer go on', async () => {
    const queue = queueOf(10);
    const room = queue.push(log('a'));
    queue.fail(new Error('too slow'));
    await room;
    await assert.rejects(readAll(queue), /too slow/);
    assert.equal(queue.push(log('b')), undefined);
  });

  it('lets its reader go when the signal aborts, also while it waits', async () => {
    const queue = queueOf(10);
    const stop = new AbortController();
    const reading = queue.read(stop.signal).next();
    stop.abort();
    assert.deepEqual(await reading, { done: true, value: undefined });
  });
});
