import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { getEventListeners, once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { abortable } from '../../../services/shared/abortable.js';
import { RcsHeader } from '../../../services/shared/gen/rune/v1/rcs.js';
import { eventually } from '../../support/eventually.js';
import { mediateRequest, numbered, startPair } from '../../support/rpc-pair.js';

const MB = 1024 * 1024;
/** A promise of its own for each waiter: one for all would hold on to everybody who ever waited. */
const never = (): Promise<never> => new Promise(() => undefined);
const MESSAGE_BYTES = 64 * 1024;
const FLOOD_MESSAGES = (500 * MB) / MESSAGE_BYTES;
const WARM_UP_MESSAGES = 1_000;
/** Memory is looked at this often, so many times: the reader stands still in between. */
const LOOK_MS = 150;
const LOOKS = 10;

interface Memory {
  readonly rssBytes: number;
  readonly made: number;
  readonly read: number;
}

async function ask(child: ChildProcess, order: Record<string, number>): Promise<Memory> {
  const answer = once(child, 'message');
  child.send(order);
  return (await answer)[0] as Memory;
}

describe('500 MB for a reader that stands still', () => {
  let server: ChildProcess;
  let reader: ChildProcess;

  before(async () => {
    server = fork(new URL('../../support/rpc-flood-server.js', import.meta.url));
    const [{ address }] = (await once(server, 'message')) as [{ address: string }];
    reader = fork(new URL('../../support/rpc-flood-reader.js', import.meta.url), [address]);
    await once(reader, 'message');
    // The first megabytes make both heaps as large as they stay.
    await ask(reader, { open: WARM_UP_MESSAGES });
    await ask(reader, { read: WARM_UP_MESSAGES + 1 });
  });
  after(async () => {
    for (const child of [server, reader]) {
      child.kill();
      await once(child, 'exit');
    }
  });

  for (const [when, first] of [
    ['before its first read', 0],
    ['after its first read', 1],
    ['in the middle', 100],
  ] as const) {
    it(`cost neither process more than 32 MB when it stops ${when}`, async () => {
      const before = [await ask(server, {}), await ask(reader, {})] as const;
      await ask(reader, { open: FLOOD_MESSAGES });
      await ask(reader, { read: first });
      // What fits into the buffers on the way comes first, which a busy machine takes its time for.
      await eventually(
        async () => {
          const { made } = await ask(server, {});
          await wait(LOOK_MS);
          return (await ask(server, {})).made === made;
        },
        { label: 'the generator to stand still' },
      );
      const made: number[] = [];
      for (let look = 0; look < LOOKS; look += 1) {
        // Standing still is what this is about: time has to pass.
        await wait(LOOK_MS);
        const now = [await ask(server, {}), await ask(reader, {})] as const;
        made.push(now[0].made);
        now.forEach((memory, index) => {
          const grownBytes = memory.rssBytes - (before[index]?.rssBytes ?? 0);
          assert.ok(
            grownBytes <= 32 * MB,
            `${index === 0 ? 'server' : 'reader'} grew by ${grownBytes} bytes`,
          );
        });
      }
      const [aheadAtFirst, aheadAtLast] = [made[0], made.at(-1)];
      assert.equal(aheadAtFirst, aheadAtLast, 'the generator stands still as well');
      assert.ok(
        Number(aheadAtLast) - first <= 64,
        `${aheadAtLast} messages were made for ${first} that were read`,
      );
    });
  }

  it('arrive whole when the reader goes on', async () => {
    const { read } = await ask(reader, { read: FLOOD_MESSAGES + 1 });
    assert.equal(read, FLOOD_MESSAGES);
  });
});

describe('many calls and messages leave nothing behind', () => {
  it('one stream of 10,000 messages adds no listeners', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    const listeners: number[] = [];
    const pair = await startPair(
      {
        async *mediate(_request, call) {
          for (let n = 1; n <= 10_000; n += 1) {
            if (n % 1_000 === 0) listeners.push(getEventListeners(call.signal, 'abort').length);
            yield { ...numbered(n), runId: 'x'.repeat(500) };
          }
        },
      },
      { server: { streamBufferBytesMax: 1_000 } },
    );
    let last = 0;
    for await (const { eventNo } of pair.client.mediate(mediateRequest())) {
      assert.equal(eventNo, last + 1);
      last = eventNo;
    }
    await pair.stop();
    process.removeListener('warning', onWarning);
    assert.equal(last, 10_000);
    assert.ok(Math.max(...listeners) <= 2, `${Math.max(...listeners)} listeners on the signal`);
    assert.deepEqual(warnings, []);
  });

  it('10,000 streams that are opened and left leave neither handles nor heap', async () => {
    let ended = 0;
    const controller = new AbortController();
    const pair = await startPair({
      async *mediate(_request, call) {
        try {
          yield numbered(1);
          await abortable(never(), call.signal);
        } finally {
          ended += 1;
        }
      },
    });
    const openAndLeave = async (count: number): Promise<number> => {
      const goal = ended + count;
      for (let n = 0; n < count; n += 50) {
        await Promise.all(
          Array.from({ length: 50 }, async () => {
            for await (const _ of pair.client.mediate(mediateRequest(), { signal: controller.signal })) break;
          }),
        );
      }
      await eventually(() => ended === goal, { label: 'the ends of all handlers' });
      return settledHeapBytes();
    };
    try {
      const first = await openAndLeave(2_000);
      const handles = process.getActiveResourcesInfo().length;
      const last = await openAndLeave(8_000);
      assert.ok(last - first < 4 * MB, `the heap grew by ${last - first} bytes`);
      assert.ok(process.getActiveResourcesInfo().length <= handles + 2);
      assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
    } finally {
      await pair.stop();
    }
  });

  it('a call goes on while thousands beside it are cancelled', async () => {
    // A connection with so many cancelled calls is closed by HTTP/2's protection against floods of resets.
    const steps: (() => void)[] = [];
    const pair = await startPair({
      async *mediate(request, call) {
        yield numbered(1);
        if (request.header === undefined) await abortable(never(), call.signal);
        await new Promise<void>((resolve) => steps.push(resolve));
        yield numbered(2);
      },
    });
    try {
      const kept = pair.client.mediate({ ...mediateRequest(), header: RcsHeader.create() });
      assert.equal((await kept.next()).value?.eventNo, 1);
      for (let round = 0; round < 3; round += 1) {
        const controller = new AbortController();
        const calls = Array.from({ length: 700 }, () =>
          pair.client.mediate(mediateRequest(), { signal: controller.signal }),
        );
        await Promise.all(calls.map((call) => call.next()));
        controller.abort();
        await Promise.all(calls.map((call) => assert.rejects(call.next(), { name: 'CALL_CANCELLED' })));
      }
      steps.forEach((step) => step());
      assert.equal((await kept.next()).value?.eventNo, 2);
      assert.equal((await kept.next()).done, true);
    } finally {
      await pair.stop();
    }
  });
});

/** Heap in use after a collection that somebody else had to pay for: the least of a few looks. */
async function settledHeapBytes(): Promise<number> {
  const { setFlagsFromString } = await import('node:v8');
  const { runInNewContext } = await import('node:vm');
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  for (let n = 0; n < 3; n += 1) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage().heapUsed;
}
