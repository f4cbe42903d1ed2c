import assert from 'node:assert/strict';
import { RuneError } from '../../../services/shared/errors.js';
import { HealthService } from '../../../services/shared/gen/grpc/health/v1/health.js';
import { LmmServiceService } from '../../../services/shared/gen/rune/v1/lmm.js';
import { bindService } from '../../../services/shared/rpc/rpc-binding.js';
import { createRpcClient } from '../../../services/shared/rpc/rpc-client.js';
import { EMPTY_HANDLERS, numbered } from '../../support/rpc-pair.js';
import { startIdleServer } from '../../support/idle-server.js';
import { buf } from '../../support/buf.js';

describe('health and reflection', () => {
  it('every service is SERVING, an unknown one is NOT_FOUND', async () => {
    const server = await startIdleServer({});
    const health = createRpcClient(HealthService, { address: server.address });
    for (const service of ['', 'rune.v1.LmmService'])
      assert.deepEqual(await health.check({ service }), { status: 1 });
    await assert.rejects(health.check({ service: 'other' }), { name: 'MODULE_NOT_FOUND' });
    assert.deepEqual(await health.list({}), {
      statuses: { '': { status: 1 }, 'rune.v1.LmmService': { status: 1 } },
    });
    const watch = health.watch({ service: 'other' });
    assert.deepEqual((await watch.next()).value, { status: 3 });
    await watch.return();
    health.close();
    await server.stop(0);
  });

  it('a watcher sees NOT_SERVING at the stop, and does not hold it up', async () => {
    const server = await startIdleServer({});
    const health = createRpcClient(HealthService, { address: server.address });
    const watch = health.watch({ service: '' });
    assert.deepEqual((await watch.next()).value, { status: 1 });
    const stopped = server.stop(60_000);
    assert.deepEqual((await watch.next()).value, { status: 2 });
    assert.equal((await watch.next()).done, true);
    await stopped;
    health.close();
  });

  it('buf curl lists, calls and streams by reflection, and shows the details of an error', async () => {
    const server = await startIdleServer({
      bindings: [
        bindService(LmmServiceService, {
          ...EMPTY_HANDLERS,
          async *mediate() {
            yield numbered(1);
            yield numbered(2);
          },
          cancelRun: async () => {
            throw new RuneError('RUN_NOT_FOUND', 'There is no such run.');
          },
          probeNode: async () => ({ header: undefined, lmmInstanceId: 'here', probe: undefined }),
        }),
      ],
    });
    const url = `http://${server.address}`;
    const [list, unary, stream, refused, check] = await Promise.all([
      buf('--list-methods', url),
      buf('-d', '{}', `${url}/rune.v1.LmmService/ProbeNode`),
      buf('-d', '{}', `${url}/rune.v1.LmmService/Mediate`),
      buf('-d', '{"runId":"7"}', `${url}/rune.v1.LmmService/CancelRun`),
      buf('-d', '{}', `${url}/grpc.health.v1.Health/Check`),
    ]);
    assert.match(list.stdout, /^rune\.v1\.LmmService\/Mediate$/m);
    assert.deepEqual(JSON.parse(unary.stdout), { lmmInstanceId: 'here' });
    assert.deepEqual(stream.stdout.match(/"eventNo":\s*"\d"/g)?.length, 2);
    assert.notEqual(refused.code, 0);
    const { code, details } = JSON.parse(refused.stderr) as { code: string; details: { type: string }[] };
    assert.equal(code, 'not_found');
    assert.deepEqual(
      details.map(({ type }) => type),
      ['rune.v1.EpsError', 'google.rpc.ErrorInfo'],
    );
    assert.deepEqual(JSON.parse(check.stdout), { status: 'SERVING' });
    await server.stop(0);
  });
});
