import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { symlink } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';
import { itNamesMissingTools } from './missing-tools.js';
import { acceptsParams, errorOfAction, makeToolPath, outputOfAction } from './shipped-action.js';

const TOOLS = ['cut', 'head', 'sleep', 'sort'];

interface Process {
  readonly pid: number;
  readonly parent_pid: number;
  readonly name: string;
  readonly command: string | null;
  readonly uid: number;
  readonly user: string | null;
  readonly cpu_percent: number;
  readonly cpu_seconds: number;
  readonly rss_bytes: number;
  readonly threads: number;
  readonly age_seconds: number;
}

interface Top {
  readonly sample_ms: number;
  readonly cpu: { readonly count: number; readonly used_percent: number };
  readonly memory: { readonly total_bytes: number };
  readonly processes: { readonly total: number; readonly zombies: number };
  readonly by_cpu: readonly Process[];
  readonly by_memory: readonly Process[];
}

const top = async (params: object, environment: Readonly<Record<string, string>> = {}): Promise<Top> =>
  (await outputOfAction('process-top', { sample_ms: 100, ...params }, { environment })) as unknown as Top;

describe('process-top', () => {
  let directory: TempDirectory;
  let child: ChildProcess | undefined;

  beforeEach(async () => {
    directory = await makeTempDirectory();
  });
  afterEach(async () => {
    if (child !== undefined) {
      const ended = new Promise((resolve) => child?.once('close', resolve));
      child.kill('SIGKILL');
      await ended;
      child = undefined;
    }
    await directory.remove();
  });

  /** Starts a bash of this name that runs forever, and resolves with its process id once it has begun. */
  async function startNamed(name: string, forever: string, args: readonly string[] = []): Promise<number> {
    const path = join(directory.path, name);
    await symlink('/bin/bash', path);
    child = spawn(path, ['-c', `echo begun; ${forever}`, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => child?.stdout?.once('data', resolve));
    return child.pid ?? 0;
  }

  it('finds the process that burns processor time, whatever it calls itself', async () => {
    const name = 'a) R 1\n"\u00fc';
    const pid = await startNamed(name, 'while :; do :; done');
    const { by_cpu: list, sample_ms: sampleMs } = await top({ count: 20, sample_ms: 500 });
    const found = list.find((each) => each.pid === pid);
    assert.equal(found?.name, name);
    assert.ok(found.cpu_percent > 0);
    assert.equal(found.parent_pid, process.pid);
    assert.equal(found.uid, process.getuid?.());
    assert.equal(found.threads, 1);
    assert.ok(sampleMs >= 500);
    const shares = list.map((each) => each.cpu_percent);
    assert.deepEqual(
      shares,
      shares.toSorted((a, b) => b - a),
    );
  });

  it('lists the largest by memory first, with what Node says of itself', async () => {
    const { by_memory: list, memory } = await top({ count: 100 });
    const own = list.find((each) => each.pid === process.pid);
    const rss = process.memoryUsage().rss;
    assert.ok(own !== undefined && own.rss_bytes > rss / 2 && own.rss_bytes < rss * 2);
    assert.ok(own.threads > 1 && own.cpu_seconds > 0);
    assert.ok(Math.abs(own.age_seconds - process.uptime()) < 30);
    assert.equal(memory.total_bytes, totalmem());
    const sizes = list.map((each) => each.rss_bytes);
    assert.ok((sizes[0] ?? 0) >= rss / 2);
  });

  it('counts processors and processes', async () => {
    const { cpu, processes } = await top({});
    assert.equal(cpu.count, cpus().length);
    assert.ok(processes.total > 0);
  });

  it('keeps lists as short as was asked', async () => {
    const { by_cpu: byCpu, by_memory: byMemory } = await top({ count: 1 });
    assert.deepEqual([byCpu.length, byMemory.length], [1, 1]);
  });

  it('reports command lines only when asked, at most 1024 bytes of each', async () => {
    const secret = `pass"word\n\u00fc ${'x'.repeat(5000)}`;
    const pid = await startNamed('quiet', 'x=$1; while :; do :; done', ['name', secret]);
    const commandOf = async (params: object): Promise<string | null | undefined> =>
      (await top({ count: 20, ...params })).by_cpu.find((each) => each.pid === pid)?.command;
    assert.equal(await commandOf({}), null);
    const command = (await commandOf({ arguments: true })) ?? '';
    assert.ok(command.includes(`-c echo begun; x=$1; while :; do :; done name ${secret.slice(0, 100)}`));
    assert.equal(Buffer.byteLength(command), 1024);
  });

  it('names users as /etc/passwd does', async () => {
    const { by_memory: list } = await top({ count: 20 });
    assert.ok(list.some(({ uid, user }) => uid === 0 && user === 'root'));
  });

  itNamesMissingTools(TOOLS, (PATH) => errorOfAction('process-top', {}, { environment: { PATH } }));

  it('needs no other tool, not even ps', async () => {
    const PATH = await makeToolPath(join(directory.path, 'tools'), TOOLS);
    assert.ok((await top({}, { PATH })).by_cpu.length > 0);
  });

  it('refuses parameters that are none, by its schema and by itself', async () => {
    const wrong = [
      { count: 0 },
      { count: 101 },
      { sample_ms: 60_000 },
      { sample_ms: 'a[$(id)]' },
      { arguments: 'yes' },
    ];
    for (const params of wrong) {
      assert.equal(acceptsParams('process-top', params), false, JSON.stringify(params));
      assert.equal((await errorOfAction('process-top', params)).code, 1);
    }
  });
});
