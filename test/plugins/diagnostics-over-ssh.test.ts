import assert from 'node:assert/strict';
import { chmod, mkdir, open, readdir, rm, utimes } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { ExecutionState, RunState } from '../../services/shared/gen/rune/v1/run.js';
import { freePort } from '../support/free-port.js';
import { openServer, type OpenServer } from '../support/open-server.js';
import { runAction } from '../support/run-action.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';
import { sshNode, startWorld, type World } from '../support/world.js';
import { createCertificate } from '../support/x509.js';

describe('the diagnostic actions, through both services over a real sshd', () => {
  let world: World;
  let web: OpenServer;
  let url: string;
  let logs: TempDirectory;

  before(async () => {
    logs = await makeTempDirectory();
    await chmod(logs.path, 0o755);
    web = await openServer(createServer((_request, response) => response.end('all is well')));
    url = `http://127.0.0.1:${web.port}/`;
    const configuration = (node: string): object => ({
      'gather-logs': { paths: [logs.path] },
      'disk-cleanup': { rotated_logs: [`${logs.path}/rotated/${node}/*.gz`] },
    });
    world = await startWorld({
      nodes: (sshd) => ({
        root: { ...sshNode(sshd, sshd.users.root), configuration: configuration('root') },
        user: { ...sshNode(sshd, sshd.users.unprivileged), configuration: configuration('user') },
      }),
    });
  });
  after(async () => {
    await world.stop();
    await logs.remove();
    await web.close();
  });

  /** Runs an action as root and as an ordinary user at once and resolves with what each got. */
  async function run(action: string, params: Record<string, unknown>): Promise<Record<string, unknown>[]> {
    const ran = await runAction(world.client, { action, params, targets: { nodes: ['root', 'user'] } });
    const outputs = ['root', 'user'].map((node) => {
      const outcome = ran.outcomes.get(node);
      assert.equal(outcome?.state, RunState.SUCCEEDED, JSON.stringify(outcome?.error));
      assert.deepEqual(ran.log(node), []);
      return JSON.parse(outcome.result?.outputJson.toString() ?? '') as Record<string, unknown>;
    });
    assert.equal(ran.state, ExecutionState.SUCCEEDED);
    return outputs;
  }

  it('disk-usage shows a deleted file to root, and its own part to a user', async () => {
    const path = join(world.directory, 'deleted');
    const file = await open(path, 'w');
    await file.write('x'.repeat(100_000));
    await rm(path);
    const [root, user] = (await run('disk-usage', { path: '/etc', count: 100 })) as unknown as [Usage, Usage];
    await file.close();
    const isOurs = (found: { path: string }): boolean => found.path === `${path} (deleted)`;
    assert.equal(root.deleted_open.largest.filter(isOurs).length, 1);
    assert.equal(user.deleted_open.largest.filter(isOurs).length, 0);
    assert.ok(root.file_systems.length > 0 && root.directories.largest.length > 0);
  });

  it('gather-logs reads what the inventory allows, and what the user may read of it', async () => {
    await logs.write({ 'open.log': 'from the log\n', 'secret.log': 'secret\n' });
    await chmod(join(logs.path, 'secret.log'), 0o600);
    const paths = ['*.log', '../../etc/passwd'].map((name) => join(logs.path, name));
    const outputs = (await run('gather-logs', { paths })) as unknown as Logs[];
    assert.deepEqual(
      outputs.map(({ sources }) => sources.map(({ state }) => state)),
      [
        ['taken', 'taken', 'failed'],
        ['taken', 'failed', 'failed'],
      ],
    );
    const text = gunzipSync(Buffer.from(outputs[1]?.archive ?? '', 'base64')).toString();
    assert.equal(text, `==> ${join(logs.path, 'open.log')} <==\nfrom the log\n`);
  });

  it('disk-cleanup removes the rotated logs that the inventory allows on each node', async () => {
    for (const node of ['root', 'user']) {
      const directory = join(logs.path, 'rotated', node);
      await mkdir(directory, { recursive: true });
      await chmod(directory, 0o777);
      for (const name of ['old.gz', 'old.log']) {
        await logs.write({ [`rotated/${node}/${name}`]: 'x'.repeat(9000) });
        await utimes(join(directory, name), 1_700_000_000, 1_700_000_000);
      }
    }
    for (const { freed_bytes: freed, items } of await run('disk-cleanup', { rotated_logs_keep_days: 7 })) {
      assert.ok(Number(freed) > 0, JSON.stringify(items));
    }
    const left = await readdir(join(logs.path, 'rotated'), { recursive: true });
    assert.deepEqual(left.toSorted(), ['root', 'root/old.log', 'user', 'user/old.log']);
  });

  it('process-top finds this process', async () => {
    const [root] = (await run('process-top', { count: 100, sample_ms: 100 })) as unknown as [Top];
    assert.ok(root.by_memory.some(({ pid }) => pid === process.pid));
  });

  it('port-check tells an open port from a closed one', async () => {
    const targets = [`127.0.0.1:${world.sshd.port}`, `127.0.0.1:${await freePort()}`];
    for (const { ok, checks } of (await run('port-check', { targets })) as unknown as Ports[]) {
      assert.equal(ok, false);
      assert.deepEqual(
        checks.map(({ state }) => state),
        ['open', 'refused'],
      );
    }
  });

  it('cert-expiry reads the certificate of a server', async () => {
    const { certificate: cert, key } = createCertificate([['CN', 'over ssh']]);
    const server = await openServer(createTlsServer({ cert, key }).on('tlsClientError', () => undefined));
    for (const output of await run('cert-expiry', { host: '127.0.0.1', port: server.port })) {
      const { subject } = output['certificate'] as { subject: string };
      assert.deepEqual([output['verdict'], subject], ['expires_soon', 'CN=over ssh']);
    }
    await server.close();
  });

  it('http-check finds the text it expects', async () => {
    for (const { ok, status } of await run('http-check', { url, expected_text: 'is well' })) {
      assert.deepEqual([ok, status], [true, 200]);
    }
  });

  it('time-sync compares the clock of the node with that of the mediator', async () => {
    for (const { ahead_of_sender_seconds: ahead } of await run('time-sync', {})) {
      assert.ok(Math.abs(Number(ahead)) < 60);
    }
  });

  it('refuses hostile parameters before any of them reaches a node', async () => {
    const request = {
      action: 'http-check',
      params: { url: 'file:///etc/passwd' },
      targets: { nodes: ['user'] },
    };
    await assert.rejects(runAction(world.client, request), { name: 'INVALID_PARAMS' });
  });
});

interface Usage {
  readonly file_systems: readonly object[];
  readonly directories: { readonly largest: readonly object[] };
  readonly deleted_open: { readonly largest: readonly { path: string }[] };
}

interface Logs {
  readonly sources: readonly { readonly state: string }[];
  readonly archive: string;
}

interface Top {
  readonly by_memory: readonly { pid: number }[];
}

interface Ports {
  readonly ok: boolean;
  readonly checks: readonly { state: string }[];
}
