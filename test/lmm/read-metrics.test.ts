import assert from 'node:assert/strict';
import { readLmmMetrics, type LmmCounters } from '../../services/lmm/read-metrics.js';
import { createPoolCounters } from '../../services/lmm/transports/ssh/pool-metrics.js';
import { createRateBudget, SYSTEM_CLOCK } from '../../services/lmm/transports/ssm/rate-budget.js';

const KEPT = {
  outcomes: 1,
  outcomesBytes: 2,
  unfetched: 3,
  unreadBytes: 4,
  replayBytes: 5,
  droppedUnreadBytes: 6,
  droppedReadBytes: 7,
};

describe('what a mediator counts anyway', () => {
  let looks = 0;
  const pool = (name: string, open: number): LmmCounters['pools'][number] => ({
    name,
    metrics() {
      looks += 1;
      return {
        ...createPoolCounters(),
        nodes: 1,
        open,
        idle: 0,
        connecting: 0,
        waiting: 0,
        channels: 0,
        spares: 0,
      };
    },
  });
  const counters = (fields: Partial<LmmCounters> = {}): LmmCounters => ({
    mediator: {
      runCount: 8,
      runsMax: 9,
      counts: { started: 10, refused: 11, lastActivity: undefined },
      kept: () => KEPT,
    },
    pools: [pool('ssh', 2), pool('openssh', 3)],
    openssh: undefined,
    ssm: { budgets: () => [] },
    server: { openCalls: 1 },
    ...fields,
  });

  it('is read by transport, and each pool is looked at once for all of its metrics', async () => {
    const read = readLmmMetrics(counters());
    looks = 0;
    const open = read.rune_lmm_ssh_connections_open();
    assert.deepEqual(open, [
      [{ transport: 'ssh' }, 2],
      [{ transport: 'openssh' }, 3],
    ]);
    read.rune_lmm_ssh_evictions_total();
    assert.equal(looks, 2);
    await Promise.resolve();
    read.rune_lmm_ssh_connections_open();
    assert.equal(looks, 4);
  });

  it('is read of the lowest of several budgets of Systems Manager; there is no value before the first', () => {
    assert.deepEqual(readLmmMetrics(counters()).rune_lmm_ssm_budget_per_second(), []);
    const budgets = [10, 2].map((perSecond) => createRateBudget(perSecond, SYSTEM_CLOCK));
    const stop = new AbortController();
    for (let asked = 0; asked < 3; asked += 1) budgets[1]?.take(stop.signal).catch(() => undefined);
    const read = readLmmMetrics(counters({ ssm: { budgets: () => budgets } }));
    assert.equal(read.rune_lmm_ssm_budget_per_second(), 2);
    assert.equal(read.rune_lmm_ssm_requests_waiting(), 1);
    stop.abort();
    assert.equal(read.rune_lmm_ssm_requests_waiting(), 0);
  });
});
