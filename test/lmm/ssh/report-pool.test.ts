import assert from 'node:assert/strict';
import { createPoolCounters, type PoolMetrics } from '../../../services/lmm/transports/ssh/pool-metrics.js';
import { reportPool } from '../../../services/lmm/transports/ssh/report-pool.js';
import { eventually } from '../../support/eventually.js';
import { recordingLogger } from '../../support/recording-logger.js';

describe('the report of the SSH connections', () => {
  const idle: PoolMetrics = {
    nodes: 0,
    open: 0,
    idle: 0,
    connecting: 0,
    waiting: 0,
    channels: 0,
    spares: 0,
    ...createPoolCounters(),
  };

  it('is one line with all counts for each interval in which one changed, and one at the end', async () => {
    const { logger, lines } = recordingLogger();
    let counts = idle;
    let looks = 0;
    const stop = reportPool(
      () => {
        looks += 1;
        return counts;
      },
      { name: 'ssh', intervalMs: 1, logger },
    );
    await eventually(() => looks > 3, { label: 'the report to look a few times' });
    assert.deepEqual(lines, []);
    counts = { ...idle, open: 1, handshakes: 1 };
    await eventually(() => lines.length > 0, { label: 'a line' });
    stop();
    assert.deepEqual(lines, [{ level: 'info', message: 'ssh connections', ...counts }]);
  });

  it('tells what changed last when it stops, and is never made where the interval is 0', () => {
    const { logger, lines } = recordingLogger();
    let counts = idle;
    const stops = [3_600_000, 0].map((intervalMs) =>
      reportPool(() => counts, { name: 'ssh', intervalMs, logger }),
    );
    counts = { ...idle, evictions: 1 };
    for (const stop of stops) stop();
    assert.deepEqual(
      lines.map(({ evictions }) => evictions),
      [1],
    );
  });
});
