import assert from 'node:assert/strict';
import { RuneError } from '../../../services/shared/errors.js';
import { CancelRunRequest, LmmServiceService } from '../../../services/shared/gen/rune/v1/lmm.js';
import { createRpcClient } from '../../../services/shared/rpc/rpc-client.js';
import { eventually } from '../../support/eventually.js';
import { mediateRequest, startPair } from '../../support/rpc-pair.js';
import { startIdleServer } from '../../support/idle-server.js';

const never = (): Promise<never> => new Promise(() => undefined);
const PROBE = { header: undefined, target: undefined, connectTimeout: undefined };

describe('a client', () => {
  it('says SERVICE_UNREACHABLE and the address where nothing listens', async () => {
    const client = createRpcClient(LmmServiceService, { address: '127.0.0.1:1' });
    await assert.rejects(client.probeNode(PROBE), {
      name: 'SERVICE_UNREACHABLE',
      message: 'The service at 127.0.0.1:1 cannot be reached: connection refused.',
    });
    await assert.rejects(client.mediate(mediateRequest()).next(), { name: 'SERVICE_UNREACHABLE' });
    client.close();
    await assert.rejects(client.probeNode(PROBE), { name: 'CALL_CANCELLED' });
    assert.throws(() => client.mediate(mediateRequest()), { name: 'CALL_CANCELLED' });
  });

  it('says METHOD_NOT_FOUND for a service that is not there', async () => {
    const server = await startIdleServer({ bindings: [] });
    const client = createRpcClient(LmmServiceService, { address: server.address });
    await assert.rejects(client.probeNode(PROBE), { name: 'METHOD_NOT_FOUND' });
    client.close();
    await server.stop(0);
  });

  it('finds a service that starts a moment later', async () => {
    const first = await startIdleServer({});
    await first.stop(0);
    const client = createRpcClient(LmmServiceService, { address: first.address });
    await assert.rejects(client.probeNode(PROBE), { name: 'SERVICE_UNREACHABLE' });
    const second = await startIdleServer({ listen: first.address });
    await eventually(async () => (await client.probeNode(PROBE)).lmmInstanceId === '', {
      label: 'the new connection',
      timeoutMs: 5_000,
    });
    client.close();
    await second.stop(0);
  });

  it('waits for a service to come up, and says SERVICE_UNREACHABLE when it does not', async () => {
    const first = await startIdleServer({});
    await first.stop(0);
    const client = createRpcClient(LmmServiceService, { address: first.address });
    await assert.rejects(client.waitForReady(50), { name: 'SERVICE_UNREACHABLE' });
    const ready = client.waitForReady(10_000);
    const second = await startIdleServer({ listen: first.address });
    await ready;
    await client.probeNode(PROBE);
    client.close();
    await second.stop(0);
  });

  it('ends open calls when it is closed', async () => {
    const pair = await startPair({ cancelRun: never });
    const unary = pair.client.cancelRun(CancelRunRequest.fromPartial({ runId: '' }));
    const refused = assert.rejects(unary, { name: 'CALL_CANCELLED' });
    pair.client.close();
    await refused;
    await pair.server.stop(0);
  });

  it('does not call at all with a signal that has aborted, and passes its RuneError on', async () => {
    const pair = await startPair({});
    const signal = AbortSignal.abort(new RuneError('SERVICE_SHUTTING_DOWN', 'Stopping.'));
    await assert.rejects(pair.client.probeNode(PROBE, { signal }), { name: 'SERVICE_SHUTTING_DOWN' });
    assert.throws(() => pair.client.mediate(mediateRequest(), { signal }), { name: 'SERVICE_SHUTTING_DOWN' });
    await pair.stop();
  });
});
