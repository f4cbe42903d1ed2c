import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { abortable } from '../../../services/shared/abortable.js';
import { RuneError } from '../../../services/shared/errors.js';
import { CancelRunRequest, LmmServiceService } from '../../../services/shared/gen/rune/v1/lmm.js';
import { createRpcClient } from '../../../services/shared/rpc/rpc-client.js';
import { eventually } from '../../support/eventually.js';
import { gate } from '../../support/gate.js';
import { aborted, mediateRequest, numbered, startPair } from '../../support/rpc-pair.js';
import { startIdleServer } from '../../support/idle-server.js';

const never = (): Promise<never> => new Promise(() => undefined);
const PROBE = { header: undefined, target: undefined, connectTimeout: undefined };

describe('where a server listens', () => {
  for (const listen of ['127.0.0.1:0', '127.8.9.10:0', '[::1]:0', 'localhost:0']) {
    it(`${listen} needs no TLS; port 0 is any free one`, async () => {
      const server = await startIdleServer({ listen });
      assert.ok(server.port > 0);
      assert.equal(server.address, `${listen.slice(0, -1)}${server.port}`);
      const client = createRpcClient(LmmServiceService, { address: server.address });
      assert.deepEqual(await client.probeNode(PROBE), {
        header: undefined,
        lmmInstanceId: '',
        probe: undefined,
      });
      client.close();
      await server.stop(0);
    });
  }

  it('a Unix socket needs no TLS', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'rune-rpc-'));
    const server = await startIdleServer({ listen: `unix:${folder}/socket` });
    assert.deepEqual([server.address, server.port], [`unix:${folder}/socket`, 0]);
    const client = createRpcClient(LmmServiceService, { address: server.address });
    await client.probeNode(PROBE);
    client.close();
    await server.stop(0);
    await rm(folder, { recursive: true });
  });

  for (const listen of ['0.0.0.0:0', '[::]:0', '192.0.2.1:0', 'example.org:0', '127.0.0.1.example.org:0']) {
    it(`${listen} is refused without TLS, and the message says what to do`, async () => {
      await assert.rejects(startIdleServer({ listen }), {
        name: 'CONFIGURATION_INVALID',
        message: /certificate.*allow_plaintext/s,
      });
    });
  }

  it('every address is allowed where plaintext is allowed', async () => {
    const server = await startIdleServer({ listen: '0.0.0.0:0', allowPlaintext: true });
    await server.stop(0);
  });

  for (const listen of [
    '',
    'localhost',
    ':80',
    '::1:80',
    '127.0.0.1:99999',
    '127.0.0.1:http',
    'unix:relative',
  ]) {
    it(`"${listen}" is no address`, async () => {
      await assert.rejects(startIdleServer({ listen }), {
        name: 'CONFIGURATION_INVALID',
        message: /is not an address/,
      });
    });
  }

  it('an address in use is named', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const listen = `127.0.0.1:${(other.address() as AddressInfo).port}`;
    await assert.rejects(startIdleServer({ listen }), {
      name: 'CONFIGURATION_INVALID',
      message: `Cannot listen on ${listen}: another process listens there (EADDRINUSE).`,
    });
    other.close();
  });

  it('an address in use by another server of ours is not shared', async () => {
    const first = await startIdleServer({});
    await assert.rejects(startIdleServer({ listen: first.address }), { message: /EADDRINUSE/ });
    await first.stop(0);
  });
});

describe('a graceful stop', () => {
  it('lets open calls finish and refuses new ones', async () => {
    const end = gate();
    const pair = await startPair({
      async *mediate() {
        yield numbered(1);
        await end.opened;
        yield numbered(2);
      },
    });
    const messages = pair.client.mediate(mediateRequest());
    await messages.next();
    const stopped = pair.server.stop(60_000);
    await assert.rejects(pair.client.probeNode(PROBE), (error: unknown) => {
      assert.ok(error instanceof RuneError);
      assert.ok(['SERVICE_UNREACHABLE', 'SERVICE_SHUTTING_DOWN'].includes(error.name), error.name);
      assert.equal(error.row.grpc, 'UNAVAILABLE');
      return true;
    });
    end.open();
    assert.equal((await messages.next()).value?.eventNo, 2);
    assert.equal((await messages.next()).done, true);
    await stopped;
    pair.client.close();
  });

  it('aborts after its grace what is still open: the callers get SERVICE_SHUTTING_DOWN, finally runs', async () => {
    let finallies = 0;
    const reasons: unknown[] = [];
    const pair = await startPair({
      async *mediate(_request, call) {
        void aborted(call.signal).then((reason) => reasons.push(reason));
        try {
          yield numbered(1);
          await abortable(never(), call.signal);
        } finally {
          finallies += 1;
        }
      },
      cancelRun: never,
    });
    const messages = pair.client.mediate(mediateRequest());
    await messages.next();
    const unary = pair.client.cancelRun(CancelRunRequest.fromPartial({ runId: '' }));
    const refused = assert.rejects(unary, { name: 'SERVICE_SHUTTING_DOWN' });
    await pair.client.probeNode(PROBE);
    await pair.server.stop(50);
    await assert.rejects(messages.next(), { name: 'SERVICE_SHUTTING_DOWN' });
    await refused;
    await eventually(() => finallies === 1, { label: 'finally' });
    assert.equal((reasons[0] as RuneError).name, 'SERVICE_SHUTTING_DOWN');
    assert.deepEqual(
      pair.logged().map(({ level, error }) => [level, error]),
      [
        ['info', 'SERVICE_SHUTTING_DOWN'],
        ['info', 'SERVICE_SHUTTING_DOWN'],
      ],
    );
    pair.client.close();
  });

  it('is not held up by a reader that stands still, nor by a handler that never ends', async () => {
    const pair = await startPair(
      {
        async *mediate() {
          for (;;) yield { ...numbered(1), runId: 'x'.repeat(60_000) };
        },
        cancelRun: never,
      },
      { server: { flushTimeoutMs: 100 } },
    );
    const messages = pair.client.mediate(mediateRequest());
    await messages.next();
    const unary = pair.client.cancelRun(CancelRunRequest.fromPartial({ runId: '' }));
    const refused = assert.rejects(unary, { name: 'SERVICE_SHUTTING_DOWN' });
    await pair.client.probeNode(PROBE);
    await pair.server.stop(0);
    await refused;
    pair.client.close();
  });

  it('a second stop with a shorter grace shortens it', async () => {
    const pair = await startPair({ cancelRun: never });
    const unary = pair.client.cancelRun(CancelRunRequest.fromPartial({ runId: '' }));
    const refused = assert.rejects(unary, { name: 'SERVICE_SHUTTING_DOWN' });
    await pair.client.probeNode(PROBE);
    const first = pair.server.stop(60_000);
    await Promise.all([pair.server.stop(0), first, refused]);
    pair.client.close();
  });
});
