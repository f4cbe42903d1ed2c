import assert from 'node:assert/strict';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../support/free-port.js';
import { findProcesses } from '../support/processes.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';
import { itNamesMissingTools } from './missing-tools.js';
import { acceptsParams, errorOfAction, makeToolPath, outputOfAction } from './shipped-action.js';
import { openSilentPort, type SilentPort } from './silent-port.js';
import { skip, skipUnlessRoot } from '../support/skip.js';

const TOOLS = ['head', 'od', 'stat', 'timeout'];

interface Check {
  readonly target: string;
  readonly host: string;
  readonly port: number;
  readonly ok: boolean;
  readonly state: string;
  readonly connect_ms: number | null;
  readonly reason: string | null;
}

interface Ports {
  readonly ok: boolean;
  readonly checks: readonly Check[];
  readonly listeners: readonly Record<string, unknown>[] | null;
}

const check = async (params: object, environment: Readonly<Record<string, string>> = {}): Promise<Ports> =>
  (await outputOfAction('port-check', params, { environment })) as unknown as Ports;

describe('port-check', () => {
  const servers: Server[] = [];
  let silent: SilentPort;
  let directory: TempDirectory;

  before(async () => {
    silent = await openSilentPort();
  });
  after(() => silent.stop());
  beforeEach(async () => {
    directory = await makeTempDirectory();
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
    await directory.remove();
  });

  async function listen(host: string): Promise<number> {
    const server = createServer((socket) => socket.end());
    servers.push(server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, host, resolve);
    });
    return (server.address() as AddressInfo).port;
  }

  it('tells open, closed, silent and unknown apart, all in the time of one', async () => {
    const open = await listen('127.0.0.1');
    const closed = await freePort();
    const targets = [
      `127.0.0.1:${silent.port}`,
      `localhost:${open}`,
      `127.0.0.1:${closed}`,
      'no-such-host.invalid:80',
      `127.0.0.1:${open}`,
    ];
    const { ok, checks, listeners } = await check({ targets, timeout_ms: 1500, listeners: false });
    assert.equal(ok, false);
    assert.equal(listeners, null);
    assert.deepEqual(
      checks.map(({ target, state, ok: isOpen }) => [target, state, isOpen]),
      [
        [targets[0], 'timeout', false],
        [targets[1], 'open', true],
        [targets[2], 'refused', false],
        [targets[3], 'unknown_host', false],
        [targets[4], 'open', true],
      ],
    );
    assert.equal(checks[0]?.connect_ms, null);
    assert.equal(typeof checks[1]?.connect_ms, 'number');
    assert.equal(checks[2]?.reason, 'connect: Connection refused');
    assert.match(checks[3]?.reason ?? '', /^no-such-host\.invalid: /);
    assert.deepEqual([checks[1]?.host, checks[1]?.port, checks[1]?.reason], ['localhost', open, null]);
  });

  it('is ok when all targets are open, and without targets', async () => {
    const targets = [`127.0.0.1:${await listen('127.0.0.1')}`, `127.0.0.1:${await listen('127.0.0.1')}`];
    assert.equal((await check({ targets, listeners: false })).ok, true);
    assert.equal((await check({ listeners: false })).ok, true);
  });

  it('leaves no process behind', () => {
    assert.deepEqual(findProcesses(`127.0.0.1\0${silent.port}`), []);
  });

  it('lists what listens on the node, with address and process', async () => {
    const ports = [await listen('127.0.0.1'), await listen('0.0.0.0')];
    const { listeners } = await check({});
    const own = listeners?.filter(({ port }) => ports.includes(Number(port)));
    const { process: name, ...first } = own?.find(({ port }) => port === ports[0]) ?? {};
    assert.deepEqual(first, {
      family: 'ipv4',
      address: '127.0.0.1',
      port: ports[0],
      uid: process.getuid?.(),
      pid: process.pid,
    });
    assert.equal(typeof name, 'string');
    assert.equal(own?.find(({ port }) => port === ports[1])?.['address'], '0.0.0.0');
  });

  it('writes IPv6 addresses as people do and connects to them', async function () {
    const port = await listen('::1').catch(() => undefined);
    if (port === undefined) skip(this, 'this host has no IPv6 loopback');
    const any = await listen('::');
    const { ok, listeners, checks } = await check({ targets: [`[::1]:${port}`] });
    assert.equal(ok, true);
    assert.equal(checks[0]?.host, '::1');
    assert.equal(listeners?.find((each) => each['port'] === port)?.['address'], '::1');
    assert.equal(listeners?.find((each) => each['port'] === any)?.['address'], '::');
  });

  it('hides processes of other users from a user who may not see them, not their sockets', async function () {
    skipUnlessRoot(this);
    const port = await listen('127.0.0.1');
    const { listeners } = (await outputOfAction('port-check', {}, { uid: 65_534 })) as unknown as Ports;
    const found = listeners?.find((each) => each['port'] === port);
    assert.deepEqual([found?.['pid'], found?.['process'], found?.['uid']], [null, null, 0]);
  });

  itNamesMissingTools(TOOLS, (PATH) => errorOfAction('port-check', {}, { environment: { PATH } }));

  it('needs no other tool', async () => {
    const PATH = await makeToolPath(join(directory.path, 'tools'), TOOLS);
    const targets = [`127.0.0.1:${await listen('127.0.0.1')}`];
    assert.equal((await check({ targets }, { PATH })).ok, true);
  });

  it('refuses targets that are none, by its schema and by itself', async () => {
    const targets = [
      '$(id):80',
      'a;id:80',
      '-x:80',
      'host/../../etc:80',
      'host:80/x',
      'host:0',
      'host:65536',
      'host:80\n',
      'h\nost:80',
      '\u00fc:80',
      '[::1:80',
      'host',
      ':80',
      'a"b:80',
    ];
    for (const target of targets) {
      const params = { targets: [target], listeners: false };
      assert.equal(acceptsParams('port-check', params), false, target);
      assert.equal((await errorOfAction('port-check', params)).code, 1, target);
    }
    assert.equal(acceptsParams('port-check', { targets: ['a:1', 'a:1'] }), false);
    assert.equal((await errorOfAction('port-check', { timeout_ms: 'a[$(id)]' })).code, 1);
  });
});
