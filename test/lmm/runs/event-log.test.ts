import assert from 'node:assert/strict';
import { Outcome, RunState } from '../../../services/shared/gen/rune/v1/run.js';
import { createEventLog, type EventLog } from '../../../services/lmm/runs/event-log.js';
import type { RunEvent } from '../../../services/lmm/runs/kept-events.js';
import { createReplayBudget, type ReplayBudget } from '../../../services/lmm/runs/replay-budget.js';

/** What a batch weighs is a little more than its lines, and twice as much is not reached by two. */
const LINES = Buffer.alloc(1100);
const BATCHES = 1200;
const MESSAGE = 'x'.repeat(1000);
const QUIET = { attached: (): void => undefined, left: (): void => undefined };

interface Bounds {
  readonly unread?: number;
  readonly replay?: number;
  readonly budget?: ReplayBudget;
}

function logOf({ unread = 10, replay = 10, budget }: Bounds = {}): EventLog {
  const limits = { unreadBytesMax: unread * BATCHES, replayBytesMax: replay * BATCHES };
  return createEventLog(limits, budget ?? createReplayBudget(Infinity), QUIET);
}

/** Prints a batch; where the node would be held back, until when. */
const room = (log: EventLog, droppedBytes = 0): Promise<void> | undefined =>
  log.push({ $case: 'log', value: { lines: LINES, droppedBytes } }, 1000);
const print = (log: EventLog, droppedBytes = 0): void => void room(log, droppedBytes);
const progress = (log: EventLog): void =>
  void log.push({ $case: 'progress', value: { percent: 1, message: MESSAGE, logStreaming: undefined } });
const accept = (log: EventLog): void => void log.push({ $case: 'accepted', value: {} });
const end = (log: EventLog, logDroppedBytes = 0): void =>
  log.end(Outcome.fromPartial({ state: RunState.SUCCEEDED, logDroppedBytes }));

const never = new AbortController().signal;
const numbers = (events: readonly RunEvent[]): number[] => events.map(({ eventNo }) => eventNo);
/** What each batch, and last the outcome, says was dropped. */
const announced = (events: readonly RunEvent[]): number[] =>
  events.flatMap(({ event }) => {
    if (event.$case === 'log') return [event.value.droppedBytes];
    return event.$case === 'outcome' ? [event.value.logDroppedBytes] : [];
  });

async function rest(log: EventLog, afterEvent = 0): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of log.read(afterEvent, never)) events.push(event);
  return events;
}

/** Reads so many events and leaves. */
async function readSome(log: EventLog, count: number, afterEvent = 0): Promise<void> {
  const reader = log.read(afterEvent, never);
  for (let read = 0; read < count; read++) await reader.next();
  await reader.return();
}

async function readOn(reader: AsyncGenerator<RunEvent>, count: number): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  while (events.length < count) {
    const { value, done } = await reader.next();
    if (done === true) break;
    events.push(value);
  }
  return events;
}

const isSettled = async (promise: Promise<unknown>): Promise<boolean> => {
  let settled = false;
  void promise.then(() => (settled = true));
  await new Promise(setImmediate);
  return settled;
};

describe('the events of a run', () => {
  it('are exactly the rest for whoever attaches, at every number', async () => {
    const log = logOf();
    accept(log);
    for (let n = 0; n < 3; n++) print(log);
    progress(log);
    void log.push({ $case: 'state', value: RunState.RUNNING });
    print(log);
    end(log);
    for (let after = 0; after <= 8; after++) {
      const expected = [1, 2, 3, 4, 5, 6, 7, 8].slice(after);
      assert.deepEqual(numbers(await rest(log, after)), expected, `after ${after}`);
    }
    assert.throws(() => log.checkPosition(9), { name: 'FIELD_OUT_OF_RANGE' });
  });

  it('are kept after they were read, and go on where another reader was', async () => {
    const log = logOf();
    accept(log);
    for (let n = 0; n < 5; n++) print(log);
    await readSome(log, 4);
    const reader = log.read(2, never);
    assert.deepEqual(numbers(await readOn(reader, 4)), [3, 4, 5, 6]);
    print(log);
    end(log);
    assert.deepEqual(numbers(await readOn(reader, 5)), [7, 8]);
  });

  it('reach a reader that waits for them', async () => {
    const log = logOf();
    const reading = rest(log);
    await new Promise(setImmediate);
    accept(log);
    await new Promise(setImmediate);
    end(log);
    assert.deepEqual(numbers(await reading), [1, 2]);
  });

  it('come back with an outcome that is the same', async () => {
    const log = logOf();
    const outcome = Outcome.fromPartial({
      state: RunState.FAILED,
      exitCode: 0,
      result: { outputJson: Buffer.from('{"a":[1.0,{}]}'), output: { a: [1, {}] } },
      error: { errorData: { name: 'PLUGIN_FAILED', message: 'no' } },
    });
    log.end(outcome);
    for (const [last] of [await rest(log), await rest(log)])
      assert.deepEqual(last?.event, { $case: 'outcome', value: outcome });
  });

  it('end with the outcome: what comes after it is none of them', async () => {
    const log = logOf();
    accept(log);
    end(log);
    print(log);
    assert.equal(log.lastEvent, 2);
    const events = await rest(log);
    assert.deepEqual(
      events.map(({ event }) => event.$case),
      ['accepted', 'outcome'],
    );
  });

  it('end a reader whose call ends, also while it waits', async () => {
    const log = logOf();
    const leaving = new AbortController();
    const reader = log.read(0, leaving.signal);
    const waiting = reader.next();
    assert.equal(log.attached, true);
    leaving.abort();
    assert.equal((await waiting).done, true);
    assert.equal(log.attached, false);
  });

  it('are for the newest reader: the one before ends, waiting or not, and the leaving of that changes nothing', async () => {
    const log = logOf();
    accept(log);
    const waiting = log.read(0, never);
    await waiting.next();
    const next = waiting.next();
    const stalled = log.read(0, never);
    await stalled.next();
    await assert.rejects(next, { name: 'READER_REPLACED' });
    const newest = log.read(0, never);
    assert.deepEqual(numbers(await readOn(newest, 1)), [1]);
    await assert.rejects(stalled.next(), { name: 'READER_REPLACED' });
    assert.equal(log.attached, true);
    end(log);
    assert.deepEqual(numbers(await readOn(newest, 2)), [2]);
  });

  it('tell who watches when there is a reader and when there is none', async () => {
    const seen: string[] = [];
    const watch = { attached: () => void seen.push('attached'), left: () => void seen.push('left') };
    const log = createEventLog({ unreadBytesMax: 1, replayBytesMax: 1 }, createReplayBudget(Infinity), watch);
    accept(log);
    const first = log.read(0, never);
    await first.next();
    const second = log.read(0, never);
    await second.next();
    await first.next().catch(() => undefined);
    assert.deepEqual(seen, ['attached']);
    await second.return();
    assert.deepEqual(seen, ['attached', 'left']);
  });

  it('know that an outcome was delivered when its reader has come for what follows', async () => {
    const log = logOf();
    end(log);
    const reader = log.read(0, never);
    await reader.next();
    assert.equal(log.delivered, false);
    await reader.next();
    assert.equal(log.delivered, true);
  });
});

describe('the bounds of the events of a run', () => {
  it('hold the node back while an attached reader is behind, and lose nothing', async () => {
    const log = logOf({ unread: 4, replay: 1 });
    const reader = log.read(0, never);
    const first = reader.next();
    accept(log);
    await first;
    let full: Promise<void> | undefined;
    let printed = 0;
    while (full === undefined) {
      full = room(log);
      printed++;
    }
    assert.ok(printed >= 4 && printed <= 5, `${printed} batches`);
    await reader.next();
    assert.equal(await isSettled(full), false);
    const events = await readOn(reader, printed - 1);
    assert.equal(await isSettled(full), true);
    assert.deepEqual(numbers(events), [3, 4, 5, 6].slice(0, printed - 1));
  });

  it('let a node go on that was held back when its reader leaves', async () => {
    const log = logOf({ unread: 1 });
    const reader = log.read(0, never);
    const first = reader.next();
    print(log);
    await first;
    print(log);
    const full = room(log);
    assert.ok(full instanceof Promise);
    await reader.return();
    assert.equal(await isSettled(full), true);
    assert.equal(room(log), undefined);
  });

  it('hold a node back again for a new reader that does not read', async () => {
    const log = logOf({ unread: 2, replay: 2 });
    for (let n = 0; n < 3; n++) print(log);
    const reader = log.read(0, never);
    await reader.next();
    assert.ok(room(log) instanceof Promise);
  });

  it('drop the oldest log and progress when nobody reads, never a state or the outcome, and count the log', async () => {
    const log = logOf({ unread: 3, replay: 2 });
    accept(log);
    print(log);
    void log.push({ $case: 'state', value: RunState.RUNNING });
    progress(log);
    for (let n = 0; n < 10; n++) assert.equal(room(log), undefined);
    end(log);
    const events = await rest(log);
    assert.deepEqual(numbers(events), [1, 3, 10, 11, 12, 13, 14, 15]);
    assert.deepEqual(announced(events), [6000, 0, 0, 0, 0, 6000]);
  });

  it('drop what was read before, beyond their bound, and count it only for a reader that missed it', async () => {
    const log = logOf({ unread: 3, replay: 2 });
    const reader = log.read(0, never);
    const reading = readOn(reader, 10);
    for (let n = 0; n < 10; n++) {
      print(log);
      await new Promise(setImmediate);
    }
    assert.equal((await reading).length, 10);
    end(log);
    assert.deepEqual(announced(await readOn(reader, 1)), [0]);

    const none = await rest(log, 8);
    assert.deepEqual(
      [numbers(none), announced(none)],
      [
        [9, 10, 11],
        [0, 0, 0],
      ],
    );
    const some = await rest(log, 6);
    assert.deepEqual(
      [numbers(some), announced(some)],
      [
        [9, 10, 11],
        [2000, 0, 2000],
      ],
    );
    // It is counted once, however often a reader comes back.
    assert.deepEqual(announced(await rest(log, 6)), [2000, 0, 2000]);
    assert.deepEqual(announced(await rest(log, 10)), [2000]);
  });

  it('keep what the dropped batches said was dropped before them', async () => {
    const log = logOf({ unread: 1, replay: 1 });
    for (const dropped of [5, 7, 0, 11]) print(log, dropped);
    end(log, 23);
    const events = await rest(log);
    assert.deepEqual(announced(events), [2012, 11, 2023].slice(0, events.length));
  });

  it('drop the oldest for a stalled reader once the node must not be held back any longer', async () => {
    const log = logOf({ unread: 3, replay: 2 });
    const reader = log.read(0, never);
    const first = reader.next();
    print(log);
    assert.deepEqual(numbers([(await first).value as RunEvent]), [1]);
    let full: Promise<void> | undefined;
    while (full === undefined) full = room(log);
    log.relax();
    assert.equal(await isSettled(full), true);
    for (let n = 0; n < 20; n++) assert.equal(room(log), undefined);
    end(log);
    const events = await readOn(reader, 100);
    const batches = events.length - 1;
    assert.ok(batches <= 3, `${batches} batches`);
    const last = log.lastEvent - 1;
    assert.deepEqual(numbers(events), [last - 2, last - 1, last, last + 1].slice(3 - batches));
    const lost = (last - 1 - batches) * 1000;
    assert.deepEqual(announced(events), [lost, 0, 0, 0].slice(0, batches).concat(lost));
  });

  it('say what was dropped before the batch that follows it, also while that is unread', async () => {
    const log = logOf({ unread: 2, replay: 1 });
    log.relax();
    const reader = log.read(0, never);
    const first = reader.next();
    accept(log);
    await first;
    for (let n = 0; n < 4; n++) print(log);
    const [next] = await readOn(reader, 1);
    for (let n = 0; n < 3; n++) print(log);
    end(log);
    const events = await readOn(reader, 10);
    const shown = [next as RunEvent, ...events];
    let lastNo = 1;
    for (const { eventNo, event } of shown) {
      if (event.$case === 'log') assert.equal(event.value.droppedBytes, (eventNo - lastNo - 1) * 1000);
      lastNo = eventNo;
    }
  });

  it('know what is missing after more drops than are told apart', async () => {
    const log = logOf({ unread: 1, replay: 1 });
    const reader = log.read(0, never);
    for (let n = 1; n <= 3000; n++) {
      print(log);
      const { value } = await reader.next();
      assert.equal((value as RunEvent).eventNo, n);
    }
    await reader.return();
    for (let n = 0; n < 3000; n++) print(log);
    end(log);
    const [kept] = numbers(await rest(log, 2900)).slice(-2);
    assert.ok(kept === 6000);
    const missing = announced(await rest(log, 2900));
    const held = missing.length - 1;
    assert.deepEqual([missing[0], missing.at(-1)], [(3100 - held) * 1000, (3100 - held) * 1000]);
    assert.equal(announced(await rest(log, 0))[0], (6000 - held) * 1000);
  });

  it('hold for all runs together: each drops in its turn, and a run that is forgotten makes room', async () => {
    const budget = createReplayBudget(12 * BATCHES);
    const logs = [1, 2, 3].map(() => logOf({ budget }));
    for (const log of logs) for (let n = 0; n < 8; n++) print(log);
    assert.ok(budget.bytes <= 12 * BATCHES, `${budget.bytes}`);
    for (const log of logs) end(log);
    const kept = await Promise.all(logs.map(async (log) => (await rest(log)).length - 1));
    assert.ok(Math.min(...kept) >= 2, kept.join());
    for (const log of logs) log.release();
    assert.equal(budget.bytes, 0);
    assert.equal((await rest(logs[0] as EventLog)).length - 1, kept[0]);
    assert.equal(budget.bytes, 0);
  });

  it('never take from all runs together what a reader has not got yet', async () => {
    const budget = createReplayBudget(1);
    const log = logOf({ budget });
    const reader = log.read(0, never);
    const first = reader.next();
    accept(log);
    await first;
    for (let n = 0; n < 8; n++) print(log);
    end(log);
    assert.deepEqual(announced(await readOn(reader, 9)), Array<number>(9).fill(0));
    assert.equal(budget.bytes, 0);
  });
});

describe('the events of a run that is cut, flooded and attached to in any order', () => {
  /** A small generator of repeatable random numbers. */
  const random = (seed: number): ((max: number) => number) => {
    let state = seed;
    return (max) => {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
      return Math.floor((state / 2 ** 31) * max);
    };
  };

  const SEEDS = 60;

  async function storm(seed: number): Promise<void> {
    const pick = random(seed);
    const budget = createReplayBudget((2 + pick(12)) * BATCHES);
    const log = logOf({ unread: 1 + pick(4), replay: 1 + pick(4), budget });
    const record: RunEvent[] = [];
    let recorded = 0;
    let reader: AsyncGenerator<RunEvent> | undefined;
    accept(log);
    for (let step = 0; step < 120; step++) {
      switch (pick(6)) {
        case 0:
          await reader?.return(undefined);
          // What was sent last may never have been recorded.
          record.length = Math.max(0, record.length - pick(3));
          recorded = record.at(-1)?.eventNo ?? 0;
          reader = undefined;
          break;
        case 1:
          reader ??= log.read(recorded, never);
          break;
        case 2:
          if (step > 60 && pick(10) === 0) log.relax();
          break;
        case 3:
          if (reader !== undefined && recorded < log.lastEvent) {
            const { value } = await reader.next();
            record.push(value as RunEvent);
            recorded = (value as RunEvent).eventNo;
          }
          break;
        default:
          print(log, pick(2));
      }
      assert.ok(budget.bytes >= 0);
    }
    end(log);
    await reader?.return(undefined);
    record.push(...(await rest(log, record.at(-1)?.eventNo ?? 0)));
    let lastNo = 0;
    for (const { eventNo, event } of record) {
      assert.ok(eventNo > lastNo, `${eventNo} after ${lastNo}`);
      if (event.$case === 'log') {
        const lost = (eventNo - lastNo - 1) * 1000;
        // Each lost batch may itself have said that a byte was dropped before it, and so may this one.
        const spare = event.value.droppedBytes - lost;
        assert.ok(spare >= 0 && spare <= eventNo - lastNo, `${event.value.droppedBytes} for ${lost}`);
      }
      lastNo = eventNo;
    }
    const batches = record.filter(({ event }) => event.$case === 'log').length;
    const last = record.at(-1)?.event;
    assert.ok(last?.$case === 'outcome');
    assert.equal(last.value.logDroppedBytes, (log.lastEvent - 2 - batches) * 1000);
  }

  it('give one record: no event twice, and every gap counted', async () => {
    let seed = 1;
    try {
      for (; seed <= SEEDS; seed++) await storm(seed);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  });
});
