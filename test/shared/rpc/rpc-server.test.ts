import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { abortable } from '../../../services/shared/abortable.js';
import { RuneError } from '../../../services/shared/errors.js';
import { HealthService } from '../../../services/shared/gen/grpc/health/v1/health.js';
import { CancelRunRequest, LmmServiceService } from '../../../services/shared/gen/rune/v1/lmm.js';
import { createLogger } from '../../../services/shared/logging/logger.js';
import { packageRoot } from '../../../services/shared/process/package-root.js';
import { bindService } from '../../../services/shared/rpc/rpc-binding.js';
import { createRpcClient } from '../../../services/shared/rpc/rpc-client.js';
import { startRpcServer } from '../../../services/shared/rpc/rpc-server.js';
import type { RpcServer, RpcServerOptions } from '../../../services/shared/rpc/rpc-server.js';
import type { ClientTls, ServerTls } from '../../../services/shared/rpc/rpc-tls.js';
import { createCertificate } from '../../support/x509.js';
import { eventually } from '../../support/eventually.js';
import { gate } from '../../support/gate.js';
import { EMPTY_HANDLERS, aborted, mediateRequest, numbered, startPair } from '../../support/rpc-pair.js';

const never = (): Promise<never> => new Promise(() => undefined);
const PROBE = { header: undefined, target: undefined, connectTimeout: undefined };

function start(options: Partial<RpcServerOptions>): Promise<RpcServer> {
  return startRpcServer({
    listen: '127.0.0.1:0',
    logger: createLogger({ level: 'error', service: 'test', stream: new PassThrough() }),
    source: 'rune-test',
    bindings: [bindService(LmmServiceService, EMPTY_HANDLERS)],
    ...options,
  });
}

/** Runs the buf binary against a server; resolves with its exit code and what it printed. */
function buf(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const bin = join(packageRoot, 'node_modules/.bin/buf');
  return new Promise((resolve) => {
    execFile(
      bin,
      ['curl', '--http2-prior-knowledge', '--protocol', 'grpc', ...args],
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      },
    );
  });
}

describe('where a server listens', () => {
  for (const listen of ['127.0.0.1:0', '127.8.9.10:0', '[::1]:0', 'localhost:0']) {
    it(`${listen} needs no TLS; port 0 is any free one`, async () => {
      const server = await start({ listen });
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
    const server = await start({ listen: `unix:${folder}/socket` });
    assert.deepEqual([server.address, server.port], [`unix:${folder}/socket`, 0]);
    const client = createRpcClient(LmmServiceService, { address: server.address });
    await client.probeNode(PROBE);
    client.close();
    await server.stop(0);
    await rm(folder, { recursive: true });
  });

  for (const listen of ['0.0.0.0:0', '[::]:0', '192.0.2.1:0', 'example.org:0', '127.0.0.1.example.org:0']) {
    it(`${listen} is refused without TLS, and the message says what to do`, async () => {
      await assert.rejects(start({ listen }), {
        name: 'CONFIGURATION_INVALID',
        message: /certificate.*allow_plaintext/s,
      });
    });
  }

  it('every address is allowed where plaintext is allowed', async () => {
    const server = await start({ listen: '0.0.0.0:0', allowPlaintext: true });
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
      await assert.rejects(start({ listen }), {
        name: 'CONFIGURATION_INVALID',
        message: /is not an address/,
      });
    });
  }

  it('an address in use is named', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const listen = `127.0.0.1:${(other.address() as AddressInfo).port}`;
    await assert.rejects(start({ listen }), {
      name: 'CONFIGURATION_INVALID',
      message: `Cannot listen on ${listen}: another process listens there (EADDRINUSE).`,
    });
    other.close();
  });

  it('an address in use by another server of ours is not shared', async () => {
    const first = await start({});
    await assert.rejects(start({ listen: first.address }), { message: /EADDRINUSE/ });
    await first.stop(0);
  });
});

describe('health and reflection', () => {
  it('every service is SERVING, an unknown one is NOT_FOUND', async () => {
    const server = await start({});
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
    const server = await start({});
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
    const server = await start({
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

describe('the limits of calls', () => {
  const LARGE = 'x'.repeat(4 * 1024 * 1024);

  it('a request above 4 MiB is refused by its sender', async () => {
    let asked = 0;
    const pair = await startPair({
      cancelRun: async () => {
        asked += 1;
        return { header: undefined, lmmInstanceId: '' };
      },
    });
    const request = CancelRunRequest.fromPartial({ runId: LARGE });
    await assert.rejects(pair.client.cancelRun(request), {
      name: 'MESSAGE_TOO_LARGE',
      message: /4194304 are allowed/,
    });
    assert.throws(
      () => pair.client.mediate({ header: undefined, command: { $case: 'start', value: null as never } }),
      {
        name: 'INVALID_REQUEST',
      },
    );
    assert.equal(asked, 0);
    await pair.stop();
  });

  it('a request above 4 MiB from another kind of client is refused by the server', async () => {
    const server = await start({});
    const folder = await mkdtemp(join(tmpdir(), 'rune-rpc-'));
    await writeFile(join(folder, 'request.json'), JSON.stringify({ runId: LARGE }));
    const answer = await buf(
      '-d',
      `@${folder}/request.json`,
      `http://${server.address}/rune.v1.LmmService/CancelRun`,
    );
    assert.match(answer.stderr, /resource_exhausted/);
    await rm(folder, { recursive: true });
    await server.stop(0);
  });

  it('an answer above 4 MiB is refused by the server that made it', async () => {
    const pair = await startPair({
      cancelRun: async () => ({ header: undefined, lmmInstanceId: LARGE }),
      async *mediate() {
        yield numbered(1);
        yield { ...numbered(2), runId: LARGE };
      },
    });
    const request = CancelRunRequest.fromPartial({ runId: '' });
    await assert.rejects(pair.client.cancelRun(request), {
      name: 'MESSAGE_TOO_LARGE',
      message: /The answer has/,
    });
    const messages = pair.client.mediate(mediateRequest());
    assert.equal((await messages.next()).value?.eventNo, 1);
    await assert.rejects(messages.next(), { name: 'MESSAGE_TOO_LARGE' });
    await pair.stop();
  });

  it('a unary call without a deadline gets one, and no deadline is later than the cap', async () => {
    const seen: number[] = [];
    const pair = await startPair(
      {
        async cancelRun(_request, call) {
          seen.push(call.deadlineMs - Date.now());
          return { header: undefined, lmmInstanceId: '' };
        },
        async *mediate(_request, call) {
          seen.push(call.deadlineMs);
          yield numbered(1);
        },
      },
      { server: { unaryTimeoutMs: 40_000, unaryTimeoutMsMax: 50_000 } },
    );
    const request = CancelRunRequest.fromPartial({ runId: '' });
    await buf('-d', '{}', `http://${pair.server.address}/rune.v1.LmmService/CancelRun`);
    await pair.client.cancelRun(request, { timeoutMs: 90_000 });
    await pair.client.cancelRun(request, { timeoutMs: 9_000 });
    for await (const _ of pair.client.mediate(mediateRequest()));
    const [standard = 0, capped = 0, own = 0, stream] = seen;
    assert.ok(standard > 30_000 && standard <= 40_000, `${standard}`);
    assert.ok(capped > 41_000 && capped <= 50_000, `${capped}`);
    assert.ok(own > 0 && own <= 9_000, `${own}`);
    assert.equal(stream, Infinity);
    await pair.stop();
  });

  it('the cap ends the call with CALL_DEADLINE_EXCEEDED and aborts its signal', async () => {
    const reasons: unknown[] = [];
    const pair = await startPair(
      {
        async cancelRun(_request, call) {
          void aborted(call.signal).then((reason) => reasons.push(reason));
          return never();
        },
      },
      { server: { unaryTimeoutMsMax: 50 } },
    );
    const request = CancelRunRequest.fromPartial({ runId: '' });
    await assert.rejects(pair.client.cancelRun(request), (error: unknown) => {
      assert.ok(error instanceof RuneError);
      assert.equal(error.name, 'CALL_DEADLINE_EXCEEDED');
      assert.match(error.message, /than this service allows/);
      return true;
    });
    assert.equal((reasons[0] as RuneError).name, 'CALL_DEADLINE_EXCEEDED');
    await pair.stop();
  });

  it('handlers see a complete header whose sender is the peer, whatever the message says', async () => {
    const seen: unknown[] = [];
    const pair = await startPair({
      async cancelRun({ header }, call) {
        seen.push(header?.security?.senderIdentity, call.header.security?.senderIdentity, call.identity.name);
        seen.push(call.header.messageMetadata?.messageId.length);
        return { header: undefined, lmmInstanceId: '' };
      },
    });
    const { RcsHeader } = await import('../../../services/shared/gen/rune/v1/rcs.js');
    const header = RcsHeader.fromPartial({ security: { senderIdentity: 'root' } });
    await pair.client.cancelRun(CancelRunRequest.fromPartial({ header, runId: '' }));
    assert.deepEqual(seen, ['root', 'loopback', 'loopback', 36]);
    await pair.stop();
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

describe('TLS', () => {
  let folder: string;
  let files: {
    server: ServerTls;
    mutual: ServerTls;
    client: ClientTls;
    anonymous: ClientTls;
    rogue: ClientTls;
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rune-tls-'));
    const write = async (name: string, text: string): Promise<string> => {
      const path = join(folder, name);
      await writeFile(path, text, { mode: 0o600 });
      return path;
    };
    const ca = createCertificate([['CN', 'Test CA']]);
    const other = createCertificate([['CN', 'Other CA']]);
    const pair = async (
      name: string,
      subject: Parameters<typeof createCertificate>[0],
      by = ca,
    ): Promise<Required<Pick<ServerTls, 'certFile' | 'keyFile'>>> => {
      const made = createCertificate(subject, by);
      return {
        certFile: await write(`${name}.crt`, made.certificate),
        keyFile: await write(`${name}.key`, made.key),
      };
    };
    const caFile = await write('ca.crt', ca.certificate);
    const server = await pair('server', [['CN', 'rune-lmm']]);
    files = {
      server,
      mutual: { ...server, clientCaFile: caFile },
      client: {
        caFile,
        ...(await pair('client', [
          ['O', 'A,CN=admin'],
          ['CN', 'rune-lom'],
        ])),
      },
      anonymous: { caFile },
      rogue: { caFile, ...(await pair('rogue', [['CN', 'rune-lom']], other)) },
    };
  });
  after(() => rm(folder, { recursive: true }));

  async function identityFor(tls: ServerTls, client: ClientTls): Promise<string> {
    const names: string[] = [];
    const server = await start({
      listen: '127.0.0.1:0',
      tls,
      bindings: [
        bindService(LmmServiceService, {
          ...EMPTY_HANDLERS,
          async probeNode(_request, call) {
            names.push(call.identity.name);
            return { header: undefined, lmmInstanceId: '', probe: undefined };
          },
        }),
      ],
    });
    const rpc = createRpcClient(LmmServiceService, { address: server.address, tls: client });
    try {
      await rpc.probeNode(PROBE, { timeoutMs: 5_000 });
    } finally {
      rpc.close();
      await server.stop(0);
    }
    return names.join();
  }

  it('mutual TLS names the peer by its certificate, and a comma cannot forge a part', async () => {
    assert.equal(await identityFor(files.mutual, files.client), 'O=A\\,CN\\=admin,CN=rune-lom');
  });

  it('without a client CA the peer is anonymous, loopback or not', async () => {
    assert.equal(await identityFor(files.server, files.anonymous), 'anonymous');
  });

  it('a client without a certificate, or with one of another CA, is not served', async () => {
    await assert.rejects(identityFor(files.mutual, files.anonymous), { name: 'SERVICE_UNREACHABLE' });
    await assert.rejects(identityFor(files.mutual, files.rogue), { name: 'SERVICE_UNREACHABLE' });
  });

  it('files that cannot be used are named', async () => {
    const missing = { ...files.server, certFile: join(folder, 'none.crt') };
    await assert.rejects(start({ tls: missing }), {
      name: 'CONFIGURATION_INVALID',
      message: /none\.crt.*ENOENT/,
    });
    const swapped = { certFile: files.server.keyFile, keyFile: files.server.certFile };
    await assert.rejects(start({ tls: swapped }), { name: 'CONFIGURATION_INVALID', message: /server\.key/ });
    const half = { caFile: files.client.caFile, certFile: files.server.certFile };
    assert.throws(() => createRpcClient(LmmServiceService, { address: '127.0.0.1:1', tls: half }), {
      name: 'CONFIGURATION_INVALID',
    });
  });
});

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
    const server = await start({ bindings: [] });
    const client = createRpcClient(LmmServiceService, { address: server.address });
    await assert.rejects(client.probeNode(PROBE), { name: 'METHOD_NOT_FOUND' });
    client.close();
    await server.stop(0);
  });

  it('finds a service that starts a moment later', async () => {
    const first = await start({});
    await first.stop(0);
    const client = createRpcClient(LmmServiceService, { address: first.address });
    await assert.rejects(client.probeNode(PROBE), { name: 'SERVICE_UNREACHABLE' });
    const second = await start({ listen: first.address });
    await eventually(async () => (await client.probeNode(PROBE)).lmmInstanceId === '', {
      label: 'the new connection',
      timeoutMs: 5_000,
    });
    client.close();
    await second.stop(0);
  });

  it('waits for a service to come up, and says SERVICE_UNREACHABLE when it does not', async () => {
    const first = await start({});
    await first.stop(0);
    const client = createRpcClient(LmmServiceService, { address: first.address });
    await assert.rejects(client.waitForReady(50), { name: 'SERVICE_UNREACHABLE' });
    const ready = client.waitForReady(10_000);
    const second = await start({ listen: first.address });
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
