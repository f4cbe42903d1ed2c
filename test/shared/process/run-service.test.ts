import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packageVersion } from '../../../services/shared/process/package-version.js';
import { eventually } from '../../support/eventually.js';

interface Program {
  readonly child: ChildProcess;
  stderr(): string;
  stdout(): string;
  /** What it has logged with this message. */
  logged(message: string): Record<string, unknown>[];
  /** Exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
}

const started: ChildProcess[] = [];

function run(env: Record<string, string> = {}, argv: string[] = [], read = true): Program {
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('../../support/tiny-service.js', import.meta.url)), ...argv],
    {
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    },
  );
  started.push(child);
  const text = { stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk: Buffer) => (text.stdout += chunk.toString()));
  if (read) child.stderr?.on('data', (chunk: Buffer) => (text.stderr += chunk.toString()));
  return {
    child,
    stderr: () => text.stderr,
    stdout: () => text.stdout,
    logged: (message) =>
      text.stderr
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line): Record<string, unknown> => JSON.parse(line))
        .filter((line) => line['message'] === message),
    ended: once(child, read ? 'close' : 'exit').then(([code, signal]: unknown[]) =>
      Number(code ?? -1) >= 0 ? Number(code) : String(signal),
    ),
  };
}

async function listening(program: Program): Promise<Record<string, unknown>> {
  return eventually(() => program.logged('listening')[0] ?? false, { label: 'a listening service' });
}

describe('the life of a service process', () => {
  afterEach(() => {
    for (const child of started.splice(0)) child.kill('SIGKILL');
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`logs where it listens, and ${signal} stops it with exit code 0`, async () => {
      const program = run();
      const line = await listening(program);
      assert.match(String(line['address']), /^127\.0\.0\.1:\d+$/);
      assert.equal(line['service'], 'rune-tiny');
      assert.equal(line['version'], packageVersion());
      program.child.kill(signal);
      assert.equal(await program.ended, 0);
      assert.equal(program.logged('stopping')[0]?.['signal'], signal);
      assert.equal(program.logged('stopped').length, 1);
    });
  }

  it('a second signal ends it at once', async () => {
    const program = run({ TINY_MODE: 'stop-hangs' });
    await listening(program);
    program.child.kill('SIGTERM');
    await eventually(() => program.logged('stopping').length === 1, { label: 'the stop' });
    program.child.kill('SIGINT');
    assert.equal(await program.ended, 130);
    assert.equal(program.logged('stopped at once by a second signal').length, 1);
  });

  it('a stop that goes on beyond grace and margin is cut, with exit code 1', async () => {
    const program = run({ TINY_MODE: 'stop-hangs', TINY_SHUTDOWN_GRACE: '0s', TINY_MARGIN: '50ms' });
    await listening(program);
    program.child.kill('SIGTERM');
    assert.equal(await program.ended, 1);
    assert.equal(program.logged('the stop took too long').length, 1);
  });

  it('a stop that fails is told, with exit code 1', async () => {
    const program = run({ TINY_MODE: 'stop-fails' });
    await listening(program);
    program.child.kill('SIGTERM');
    assert.equal(await program.ended, 1);
    assert.match(program.stderr(), /the stop failed/);
  });

  it('warns of a variable that sets nothing', async () => {
    const program = run({ TINY_MDOE: 'ok', TINY_SERVICE_HOST: '10.0.0.1' });
    await listening(program);
    const warning = 'the variable TINY_MDOE is not a setting; did you mean "TINY_MODE"?';
    assert.equal(program.logged(warning)[0]?.['level'], 'warn');
    assert.doesNotMatch(program.stderr(), /TINY_SERVICE_HOST/);
  });

  it('a start that is refused prints what is wrong and what to do, and no stack', async () => {
    const program = run({ TINY_MODE: 'refuse' });
    assert.equal(await program.ended, 1);
    assert.equal(
      program.stderr(),
      'rune-tiny did not start: CONFIGURATION_INVALID: Cannot listen on 1.2.3.4:5: no.\n' +
        'What to do: Correct what is named here, then start again.\n',
    );
    assert.equal(program.stdout(), '');
  });

  it('a fault of ours at the start is shown with its stack', async () => {
    const program = run({ TINY_MODE: 'throw' });
    assert.equal(await program.ended, 1);
    assert.match(program.stderr(), /INTERNAL.*\nError: a plain fault\n {4}at /);
  });

  for (const [mode, message] of [
    ['crash', 'uncaught exception'],
    ['reject', 'unhandled rejection'],
  ] as const) {
    it(`an ${message} is logged before the process ends with 1`, async () => {
      const program = run({ TINY_MODE: mode });
      assert.equal(await program.ended, 1);
      assert.match(JSON.stringify(program.logged(message)[0]?.['err']), /an unexpected fault/);
    });
  }

  it('every fault of the configuration is listed, with file and line, and no secret', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'rune-tiny-'));
    const file = join(folder, 'tiny.yaml');
    await writeFile(file, 'mode: odd\nlines: many\nsecret: [hunter2]\nshutdown_grace: 10\nunknown: 1\n');
    const program = run({ TINY_LOG_LEVEL: 'loud' }, ['--config', file]);
    assert.equal(await program.ended, 1);
    for (const fault of [
      `${file}:1: mode must be one of ok, `,
      `${file}:2: lines must be a whole number from 0 to 1000000`,
      `${file}:3: secret must be a text`,
      `${file}:4: shutdown_grace must be written with its unit, such as 500ms, 10s or 5m`,
      `${file}:5: unknown is not a setting`,
      'TINY_LOG_LEVEL: log_level must be one of debug, info, warn, error',
    ]) {
      assert.ok(program.stderr().includes(fault), `${fault} is missing in:\n${program.stderr()}`);
    }
    assert.doesNotMatch(program.stderr(), /hunter2/);
    await rm(folder, { recursive: true });
  });

  it('--version and --help answer on standard output', async () => {
    const [version, help] = [run({}, ['--version']), run({}, ['--help'])];
    assert.deepEqual([await version.ended, await help.ended], [0, 0]);
    assert.equal(version.stdout(), `rune-tiny ${packageVersion()}\n`);
    assert.match(help.stdout(), /Usage: rune-tiny \[--config FILE\]/);
    assert.match(help.stdout(), /TINY_SHUTDOWN_GRACE/);
    assert.equal(version.stderr() + help.stderr(), '');
  });

  it('an unknown option is a usage error', async () => {
    const program = run({}, ['--conifg', 'x']);
    assert.equal(await program.ended, 2);
    assert.match(program.stderr(), /--conifg.*\nTry: rune-tiny --help\n$/);
  });

  it('everything that was logged arrives before the exit', async () => {
    const program = run({ TINY_LINES: '2000' });
    await listening(program);
    program.child.kill('SIGTERM');
    assert.equal(await program.ended, 0);
    assert.deepEqual(
      program.logged('line').map(({ n }) => n),
      Array.from({ length: 2_000 }, (_, index) => index + 1),
    );
  });

  it('a log that nobody reads neither blocks nor fills the process, and does not keep it from stopping', async () => {
    const program = run({ TINY_LINES: '20000' }, [], false);
    program.child.send('alive');
    const [answer] = (await once(program.child, 'message')) as [{ order: string; rssBytes: number }];
    assert.equal(answer.order, 'alive');
    assert.ok(answer.rssBytes < 200 * 1024 * 1024, `${answer.rssBytes} bytes`);
    program.child.kill('SIGTERM');
    assert.equal(await program.ended, 0);
  });

  it('lines that were dropped are counted in the log', async () => {
    const program = run({ TINY_LINES: '20000' }, [], false);
    program.child.send('alive');
    await once(program.child, 'message');
    let text = '';
    program.child.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await eventually(
      () => {
        program.child.send('log');
        return text.includes('"message":"log lines were dropped"');
      },
      { label: 'the count' },
    );
    const lines = text
      .trim()
      .split('\n')
      .filter((line) => line.endsWith('}'));
    const dropped = lines
      .map((line): { dropped?: number } => JSON.parse(line))
      .find((line) => line.dropped !== undefined);
    const arrived = lines.filter((line) => line.includes('"message":"line"')).length;
    assert.ok(
      Number(dropped?.dropped) + arrived >= 20_000,
      `${dropped?.dropped} dropped and ${arrived} arrived`,
    );
  });

  it('a log whose reader has gone does not end the process', async () => {
    const program = run();
    await listening(program);
    program.child.stderr?.destroy();
    for (const order of ['log', 'log', 'alive']) {
      program.child.send(order);
      await once(program.child, 'message');
    }
    program.child.kill('SIGTERM');
    assert.equal((await once(program.child, 'exit'))[0], 0);
  });
});
