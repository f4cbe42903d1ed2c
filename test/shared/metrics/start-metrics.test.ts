import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { once } from 'node:events';
import { RuneError } from '../../../services/shared/errors.js';
import { counted, gauge, observed, total } from '../../../services/shared/metrics/metric.js';
import { startMetrics, type ServiceMetrics } from '../../../services/shared/metrics/start-metrics.js';
import { ask, scrape, valueOf } from '../../support/scrape.js';
import { recordingLogger } from '../../support/recording-logger.js';

const SPEC = {
  rune_test_things_total: counted('Things.', 'kind'),
  rune_test_seconds: observed('Seconds.', [1, 10]),
  rune_test_read_total: total('Counted elsewhere.', 'of'),
  rune_test_now: gauge('Now.'),
} as const;
const SETTINGS = { metricsListen: '127.0.0.1:0', metricsAllowPlaintext: false, allowPlaintext: false };

describe('metrics', () => {
  let metrics: ServiceMetrics<typeof SPEC> | undefined;
  const recorded = recordingLogger();
  const start = async (settings: Partial<typeof SETTINGS> = {}): Promise<ServiceMetrics<typeof SPEC>> =>
    (metrics = await startMetrics(SPEC, { ...SETTINGS, ...settings }, recorded.logger));
  const address = (): string => String(recorded.lines.findLast((line) => 'address' in line)?.['address']);
  afterEach(async () => {
    await metrics?.close();
    metrics = undefined;
  });

  it('are counted as things happen, or read when somebody asks', async () => {
    const { meter, serve } = await start();
    let now = 5;
    serve({ rune_test_read_total: () => [[{ of: 'a' }, now * 2]], rune_test_now: () => now });
    meter.count('rune_test_things_total', { kind: 'x' });
    meter.count('rune_test_things_total', { kind: 'x' }, 2);
    meter.observe('rune_test_seconds', {}, 7);
    const first = (await scrape(address())).metrics;
    now = 3;
    const second = (await scrape(address())).metrics;
    assert.equal(valueOf(first, 'rune_test_things_total', { kind: 'x' }), 3);
    assert.deepEqual(
      ['1', '10', '+Inf'].map((le) => valueOf(first, 'rune_test_seconds_bucket', { le })),
      [0, 1, 1],
    );
    assert.deepEqual(
      [first, second].map((one) => [valueOf(one, 'rune_test_now'), valueOf(one, 'rune_test_read_total')]),
      [
        [5, 10],
        [3, 6],
      ],
    );
    assert.ok(valueOf(first, 'process_resident_memory_bytes') > 0);
  });

  it('are at /metrics alone, and only to be read', async () => {
    (await start()).serve({ rune_test_read_total: () => 0, rune_test_now: () => 0 });
    assert.equal((await ask(address(), '/')).status, 404);
    assert.equal((await ask(address(), '/metrics/x')).status, 404);
    assert.equal((await ask(address(), '/metrics', 'POST')).status, 405);
    assert.deepEqual(
      { ...(await ask(address(), '/metrics', 'HEAD')), type: '' },
      { status: 200, type: '', text: '' },
    );
    assert.equal((await ask(address(), '/metrics?name=x')).status, 200);
  });

  it('are not there before the service has started, and a fault in reading them ends nothing', async () => {
    const { serve } = await start();
    const at = address();
    assert.equal((await ask(at, '/metrics')).status, 503);
    let broken = true;
    serve({
      rune_test_read_total: () => 1,
      rune_test_now() {
        if (broken) throw new Error('out of order');
        return 1;
      },
    });
    assert.equal((await ask(at, '/metrics')).status, 500);
    broken = false;
    assert.equal((await ask(at, '/metrics')).status, 200);
  });

  it('end with every connection, also one that says nothing', async () => {
    const { close } = await start();
    const idle = connect({ host: '127.0.0.1', port: Number(address().split(':')[1]) });
    await once(idle, 'connect');
    const ended = once(idle, 'close');
    await close();
    await ended;
  });

  it('are served where other hosts reach them only if the operator says so', async () => {
    const refusal = await start({ metricsListen: '0.0.0.0:0' }).catch(RuneError.from);
    assert.ok(refusal instanceof RuneError);
    assert.equal(refusal.name, 'CONFIGURATION_INVALID');
    assert.equal(refusal.facts.field, 'metrics_listen');
    assert.equal(
      refusal.message,
      'Metrics are served without TLS, and so on this host only, not on 0.0.0.0:0: listen on 127.0.0.1, or set ' +
        'metrics_allow_plaintext if something else keeps strangers away.',
    );
    for (const said of [{ metricsAllowPlaintext: true }, { allowPlaintext: true }]) {
      await (await start({ metricsListen: '0.0.0.0:0', ...said })).close();
    }
  });

  it('keep a service from starting where another process listens', async () => {
    await start();
    const at = address();
    await assert.rejects(startMetrics(SPEC, { ...SETTINGS, metricsListen: at }, recorded.logger), {
      name: 'CONFIGURATION_INVALID',
      message: `Cannot listen on ${at}: another process listens there (EADDRINUSE).`,
    });
  });

  it('cost nothing where nobody asked for them', async () => {
    const { meter, serve, close } = await startMetrics(
      SPEC,
      { ...SETTINGS, metricsListen: undefined },
      recorded.logger,
    );
    meter.count('rune_test_things_total', { kind: 'x' });
    meter.observe('rune_test_seconds', {}, 1);
    serve({ rune_test_read_total: () => assert.fail('read'), rune_test_now: () => assert.fail('read') });
    await close();
  });
});
