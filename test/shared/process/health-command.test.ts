import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { RuneError } from '../../../services/shared/errors.js';
import { LMM_SETTINGS } from '../../../services/lmm/config.js';
import { LmmServiceService } from '../../../services/shared/gen/rune/v1/lmm.js';
import { healthCommand } from '../../../services/shared/process/health-command.js';
import { createLogger } from '../../../services/shared/logging/logger.js';
import { bindService } from '../../../services/shared/rpc/rpc-binding.js';
import { createRpcClient } from '../../../services/shared/rpc/rpc-client.js';
import { startRpcServer } from '../../../services/shared/rpc/rpc-server.js';
import type { RpcServer } from '../../../services/shared/rpc/rpc-server.js';
import { eventually } from '../../support/eventually.js';
import { EMPTY_HANDLERS } from '../../support/rpc-pair.js';

const PROBE = { header: undefined, target: undefined, connectTimeout: undefined };
const logger = createLogger({ level: 'error', service: 'test', stream: new PassThrough() });

describe('probes', () => {
  let server: RpcServer;
  beforeEach(async () => {
    server = await startRpcServer({
      listen: '127.0.0.1:0',
      probeListen: '127.0.0.1:0',
      logger,
      source: 'rune-test',
      bindings: [bindService(LmmServiceService, EMPTY_HANDLERS)],
    });
  });
  afterEach(() => server.stop(0));

  it('have an address of their own, where nothing but health is served', async () => {
    assert.notEqual(server.probeAddress, server.address);
    const client = createRpcClient(LmmServiceService, { address: server.probeAddress ?? '' });
    try {
      await assert.rejects(client.probeNode(PROBE), { name: 'METHOD_NOT_FOUND' });
    } finally {
      client.close();
    }
  });

  it('rune-lmm health ends with 0 while the service serves', async () => {
    const { code, stdout, stderr } = await health({ LMM_PROBE_LISTEN: server.probeAddress });
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'SERVING\n', stderr: '' });
  });

  it('it asks at the address of the service where there is none for probes', async () => {
    assert.equal((await health({ LMM_LISTEN: server.address })).stdout, 'SERVING\n');
  });

  it('it asks on this host where the service listens on every address', async () => {
    const port = server.probeAddress?.split(':')[1];
    assert.equal((await health({ LMM_PROBE_LISTEN: `0.0.0.0:${port}` })).code, 0);
  });

  it('it ends with 1 as soon as the service begins to stop', async () => {
    server.announceStop();
    const { code, stderr } = await health({ LMM_PROBE_LISTEN: server.probeAddress });
    assert.deepEqual({ code, stderr }, { code: 1, stderr: 'NOT_SERVING\n' });
  });

  it('are answered until the service has ended', async () => {
    await server.stop(0);
    const { code, stderr } = await health({ LMM_PROBE_LISTEN: server.probeAddress });
    assert.equal(code, 1);
    assert.match(stderr, /^rune-lmm health: SERVICE_UNREACHABLE: /);
  });

  it('a service that cannot listen for them does not start, and leaves its own address', async () => {
    const port = await freedPort();
    const start = startRpcServer({
      listen: `127.0.0.1:${port}`,
      probeListen: server.address,
      logger,
      source: 'rune-test',
      bindings: [],
    });
    await assert.rejects(start, (error: unknown) => {
      assert.ok(error instanceof RuneError);
      assert.equal(error.facts.field, 'probe_listen');
      return true;
    });
    await eventually(
      async () => {
        const again = await startRpcServer({
          listen: `127.0.0.1:${port}`,
          logger,
          source: 'rune-test',
          bindings: [],
        });
        await again.stop(0);
        return true;
      },
      { label: 'the free address' },
    );
  });

  it('a service with TLS and no address for probes cannot be asked, and the command says what to set', async () => {
    const { code, stderr } = await health({ LMM_TLS_CERT_FILE: '/nowhere', LMM_TLS_KEY_FILE: '/nowhere' });
    assert.equal(code, 1);
    assert.match(stderr, /where probe_listen is set/);
  });

  it('a faulty command line is told with 2', async () => {
    const { code, stderr } = await health({}, ['--what']);
    assert.equal(code, 2);
    assert.match(stderr, /Usage: rune-lmm health \[--config FILE\]/);
  });
});

async function freedPort(): Promise<number> {
  const server = await startRpcServer({ listen: '127.0.0.1:0', logger, source: 'rune-test', bindings: [] });
  await server.stop(0);
  return server.port;
}

async function health(
  env: Record<string, string | undefined>,
  argv: string[] = [],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const said = { stdout: '', stderr: '' };
  const stream = (name: 'stdout' | 'stderr'): PassThrough =>
    new PassThrough().on('data', (chunk: Buffer) => (said[name] += chunk.toString()));
  const [stdout, stderr] = [stream('stdout'), stream('stderr')];
  const code = await healthCommand(LMM_SETTINGS, {
    name: 'rune-lmm',
    prefix: 'LMM',
    argv,
    env,
    stdout,
    stderr,
  });
  return { code, ...said };
}
