import assert from 'node:assert/strict';
import { createCommandWatch, type CommandWatch } from '../../../services/lmm/transports/ssm/command-watch.js';
import { SsmFault, type SsmApi, type SsmStatus } from '../../../services/lmm/transports/ssm/ssm-api.js';
import { createTestClock, type TestClock } from './test-clock.js';

const SETTINGS = { pollFirstMs: 500, pollMaxMs: 10_000, findWaitMs: 5_000 };
const never = (): AbortSignal => new AbortController().signal;

interface Looked {
  readonly atMs: number;
  readonly together: boolean;
}

/** A service whose commands have the statuses that the test gives them; one that it does not name is not shown. */
function watchOver(statuses: Map<string, string>): {
  clock: TestClock;
  watch: CommandWatch;
  looked: Looked[];
} {
  const clock = createTestClock();
  const looked: Looked[] = [];
  const api = {
    async statuses(of: { readonly commandId: string } | { readonly sentAfter: Date }, nextToken?: string) {
      looked.push({ atMs: clock.now(), together: 'sentAfter' in of });
      const all = [...statuses].map(([commandId, status]): SsmStatus => ({
        commandId,
        instanceId: 'i-1',
        status,
        details: status,
      }));
      if ('commandId' in of)
        return { items: all.filter(({ commandId }) => commandId === of.commandId), nextToken: undefined };
      const from = Number(nextToken ?? 0);
      return {
        items: all.slice(from, from + 50),
        nextToken: from + 50 < all.length ? String(from + 50) : undefined,
      };
    },
  } as unknown as SsmApi;
  const watch = createCommandWatch({
    read: (call) => call(api),
    clock,
    random: () => 0.5,
    settings: SETTINGS,
  });
  return { clock, watch, looked };
}

const command = (commandId: string): Parameters<CommandWatch['untilOver']>[0] => ({
  commandId,
  instanceId: 'i-1',
  sentAt: new Date(),
});

describe('the watch over commands of Systems Manager', () => {
  it('looks soon, then less and less often, and no less than every pollMaxMs', async () => {
    const { clock, watch, looked } = watchOver(new Map([['a', 'InProgress']]));
    void watch.untilOver(command('a'), () => undefined, never()).catch(() => undefined);
    await clock.pass(60_000);
    const gaps = looked.map(({ atMs }, index) => atMs - (looked[index - 1]?.atMs ?? 0));
    assert.equal(gaps[0], 500);
    assert.ok(
      gaps.slice(2).every((gap, index) => gap >= (gaps[index + 1] ?? 0)),
      gaps.join(),
    );
    assert.equal(gaps.at(-1), 10_000);
    watch.close();
  });

  it('resolves with the last status, and tells each one on the way', async () => {
    const statuses = new Map([['a', 'Pending']]);
    const { clock, watch } = watchOver(statuses);
    const seen: string[] = [];
    const over = watch.untilOver(command('a'), ({ status }) => seen.push(status), never());
    await clock.pass(600);
    statuses.set('a', 'InProgress');
    await clock.pass(1_000);
    statuses.set('a', 'Success');
    await clock.pass(10_000);
    assert.equal((await over)?.status, 'Success');
    assert.deepEqual([...new Set(seen)], ['Pending', 'InProgress', 'Success']);
  });

  it('waits for a command that is not shown yet, and gives it up after findWaitMs', async () => {
    const statuses = new Map<string, string>();
    const { clock, watch } = watchOver(statuses);
    const late = watch.untilOver(command('late'), () => undefined, never());
    const missing = watch.untilOver(command('missing'), () => undefined, never());
    await clock.pass(3_000);
    statuses.set('late', 'Success');
    await clock.pass(4_000);
    assert.equal((await late)?.status, 'Success');
    assert.equal(await missing, undefined);
  });

  it('looks at hundreds of commands together: a request for each 50 of them', async () => {
    const ids = Array.from({ length: 200 }, (_, index) => `c${index}`);
    const statuses = new Map(ids.map((id) => [id, 'InProgress']));
    const { clock, watch, looked } = watchOver(statuses);
    const all = Promise.all(ids.map((id) => watch.untilOver(command(id), () => undefined, never())));
    await clock.pass(700);
    assert.deepEqual(
      looked.map(({ together }) => together),
      [true, true, true, true],
    );
    for (const id of ids) statuses.set(id, 'Success');
    await clock.pass(20_000);
    assert.equal((await all).length, 200);
    assert.ok(looked.length < 20, `${looked.length}`);
  });

  it('looks at a command on all its instances with one request, whenever one of them is due', async () => {
    const clock = createTestClock();
    const instances = Array.from({ length: 50 }, (_, index) => `i-${index}`);
    let status = 'InProgress';
    let looks = 0;
    let jitter = 0;
    const api = {
      async statuses(of: { readonly commandId: string }) {
        looks += 1;
        const items = instances.map((instanceId) => ({ ...of, instanceId, status, details: status }));
        return { items, nextToken: undefined };
      },
    } as unknown as SsmApi;
    const random = (): number => (jitter = (jitter + 0.37) % 1);
    const watch = createCommandWatch({ read: (call) => call(api), clock, random, settings: SETTINGS });
    const wait = (instanceId: string): Promise<unknown> =>
      watch.untilOver({ ...command('a'), instanceId }, () => undefined, never());
    const all = Promise.all(instances.map(wait));
    await clock.pass(5_000);
    assert.ok(looks >= 4 && looks <= 8, `${looks} looks`);
    status = 'Success';
    await clock.pass(10_000);
    assert.equal((await all).length, 50);
  });

  it('asks for a command alone that looks at all have missed, before it gives it up', async () => {
    const ids = Array.from({ length: 20 }, (_, index) => `c${index}`);
    // What was sent since by others stands before ours in the list, on more pages than are looked at.
    const others = Array.from({ length: 1_000 }, (_, index) => [`other${index}`, 'InProgress'] as const);
    const statuses = new Map<string, string>([...others, ...ids.map((id) => [id, 'InProgress'] as const)]);
    const { clock, watch } = watchOver(statuses);
    const all = Promise.all(ids.map((id) => watch.untilOver(command(id), () => undefined, never())));
    await clock.pass(2 * SETTINGS.findWaitMs);
    for (const id of ids) statuses.set(id, 'Success');
    await clock.pass(30_000);
    assert.deepEqual(
      (await all).map((status) => status?.status),
      ids.map(() => 'Success'),
    );
  });

  it('gives a command up only after a look that began when its time was over, however long looks wait', async () => {
    const clock = createTestClock();
    let looks = 0;
    const watch = createCommandWatch({
      // Each look waits for its turn longer than a command is waited for.
      read: (call) =>
        new Promise((resolve, reject) => {
          clock.after(2 * SETTINGS.findWaitMs, () => {
            looks += 1;
            const items =
              looks === 1
                ? []
                : [{ commandId: 'a', instanceId: 'i-1', status: 'Success', details: 'Success' }];
            const api = { statuses: async () => ({ items, nextToken: undefined }) } as unknown as SsmApi;
            call(api).then(resolve, reject);
          });
        }),
      clock,
      random: () => 0.5,
      settings: SETTINGS,
    });
    const over = watch.untilOver(command('a'), () => undefined, never());
    await clock.pass(10 * SETTINGS.findWaitMs);
    assert.equal((await over)?.status, 'Success');
  });

  it('ends with the fault of a request that the service refuses, and with the signal', async () => {
    const clock = createTestClock();
    const watch = createCommandWatch({
      read: () => Promise.reject(new SsmFault('refused', 'AccessDeniedException', 'no')),
      clock,
      random: () => 0.5,
      settings: SETTINGS,
    });
    const refused = watch.untilOver(command('a'), () => undefined, never());
    const controller = new AbortController();
    const stopped = watch.untilOver(command('b'), () => undefined, controller.signal);
    controller.abort(new Error('enough'));
    await assert.rejects(stopped, /enough/);
    refused.catch(() => undefined);
    await clock.pass(1_000);
    await assert.rejects(refused, { code: 'AccessDeniedException' });
  });
});
