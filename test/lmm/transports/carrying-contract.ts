import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { StopReason } from '../../../services/shared/gen/rune/v1/run.js';
import { eventually } from '../../support/eventually.js';
import type { Link } from '../../support/links.js';
import { findProcesses } from '../../support/processes.js';
import { ALL_BYTES, itBut, runsOver, type Exceptions } from './runs-over.js';

/** What every link promises about what goes up to the plugin and comes from it. `getLink` is asked when a test runs. */
export function describeCarrying(getLink: () => Link, exceptions: Exceptions = {}): void {
  const it = itBut(exceptions);
  const { run, start } = runsOver(getLink);

  it('gives the input, both outputs and the exit code, and says once that the plugin began', async () => {
    const done = await run('cat; echo; echo trouble >&2; exit 3', { input: '{"name":"web01"}' });
    assert.equal(done.stdout(), '{"name":"web01"}\n');
    assert.equal(done.stderr(), 'trouble\n');
    assert.equal(done.startedCount(), 1);
    assert.deepEqual(done.end.end, { exitCode: 3 });
    const { stopReason, confirmed, maySurvive, leftProcesses, phases } = done.end;
    assert.deepEqual(
      { stopReason, confirmed, maySurvive, leftProcesses },
      {
        stopReason: undefined,
        confirmed: true,
        maySurvive: false,
        leftProcesses: 0,
      },
    );
    assert(phases.startMs > 0 && phases.runMs > 0);
  });

  it('keeps every byte of the input and of both outputs', async () => {
    const input = Buffer.concat([ALL_BYTES, Buffer.from(`\n'"$(id)\`id\`;\\ \${HOME} é 日本 😀`), ALL_BYTES]);
    const done = await run('tee /dev/stderr', { input });
    assert.equal(done.stdout(), input.toString('latin1'));
    assert.equal(done.stderr(), input.toString('latin1'));
  });

  it('takes 1 MB of plugin and 1 MB of input', async () => {
    const script = `${'# a comment that is of no use to anybody\n'.repeat(25_000)}cat | md5sum\n`;
    const input = JSON.stringify({ text: 'é'.repeat(500_000) });
    const done = await run(script, { input, timeoutMs: 20_000 });
    assert.equal(done.stdout().split(' ')[0], createHash('md5').update(input).digest('hex'));
  });

  it('does not wait for an input that nobody reads, though a child keeps it open', async () => {
    const done = await run('exec 7<&0; sleep 86400 & echo done', { input: 'x'.repeat(1_000_000) });
    assert.equal(done.stdout(), 'done\n');
    assert.equal(done.end.leftProcesses, 1);
    assert.deepEqual(done.end.end, { exitCode: 0 });
  });

  it('gives a plugin that asks for a password nothing but its input', async () => {
    const asking =
      'printf "[sudo] password for root: " >&2; read -r word || { read -r word </dev/tty; } 2>/dev/null';
    const done = await run(`cat; ${asking} && echo "got $word"; exit 5`, { input: '{"a":1}' });
    assert.deepEqual(done.end.end, { exitCode: 5 });
    assert.deepEqual([done.stdout(), done.stderr()], ['{"a":1}', '[sudo] password for root: ']);
  });

  it('lets a plugin close its outputs and input early', async () => {
    const done = await run('exec <&- >&- 2>&-; exit 5', { input: 'x'.repeat(1_000_000) });
    assert.deepEqual(done.end.end, { exitCode: 5 });
  });

  it('ends although a background child holds both outputs, and loses no line', async () => {
    for (let round = 0; round < 5; round += 1) {
      const done = await run('sleep 86400 & echo out; echo last words >&2', { leavesProcesses: true });
      assert.equal(done.stdout(), 'out\n');
      assert.equal(done.stderr(), 'last words\n');
      for (const pid of findProcesses(done.runId)) process.kill(pid, 'SIGKILL');
    }
  });

  it('passes output on while the plugin runs, whole lines with their newline', async () => {
    const started = start('echo one; echo two >&2; sleep 86400');
    await eventually(() => started.stdout() === 'one\n' && started.stderr() === 'two\n', {
      label: 'both lines',
    });
    started.stop(StopReason.CANCEL);
    await started.ending;
  });

  it('gives on whatever looks like a frame', async () => {
    const forged = '\\036%s end exit 0 yes 0 none\\n\\n%s begin\\n\\036\\036';
    const done = await run(`printf '${forged}' 0123456789abcdef0123456789abcdef "$RUNE_RUN_ID"; exit 9`);
    assert.equal(
      done.stdout(),
      `\x1e0123456789abcdef0123456789abcdef end exit 0 yes 0 none\n\n${done.runId} begin\n\x1e\x1e`,
    );
    assert.deepEqual(done.end.end, { exitCode: 9 });
  });

  it('gives 100 MB on as they are: no newline, every byte, NUL too', async () => {
    const expected = createHash('md5');
    const block = Buffer.concat([Buffer.alloc(1), ALL_BYTES]);
    const blocks = 4096;
    for (let round = 0; round < 100; round += 1)
      expected.update(Buffer.concat(Array<Buffer>(blocks).fill(block)));
    const got = createHash('md5');
    let bytes = 0;
    const big =
      'for n in {0..255}; do printf -v o %03o $n; f+="\\\\$o"; done; file=$HOME/$RUNE_RUN_ID; ' +
      'for i in {1..4096}; do printf "$f"; done >"$file"; for i in {1..100}; do cat "$file"; done; rm "$file"';
    const started = start(
      big,
      { timeoutMs: 30_000 },
      {
        started: () => undefined,
        stdout: async (chunk) => {
          got.update(chunk);
          bytes += chunk.length;
          await Promise.resolve();
        },
        stderr: () => undefined,
      },
    );
    const end = await started.ending;
    assert(end.kind === 'ended' && end.confirmed, JSON.stringify(end));
    assert.equal(bytes, 100 * blocks * 256);
    assert.equal(got.digest('hex'), expected.digest('hex'));
  }).timeout(40_000);

  it('holds the plugin back while a sink is not ready, and loses nothing', async () => {
    let bytes = 0;
    let isReady: () => void = () => undefined;
    const ready = new Promise<void>((resolve) => (isReady = resolve));
    const script = 'printf -v x %65536s; for i in {1..400}; do printf %s "$x"; echo $i >&2; done';
    let last = '';
    const started = start(
      script,
      {},
      {
        started: () => undefined,
        stdout: (chunk) => {
          bytes += chunk.length;
          return ready;
        },
        stderr: (chunk) => {
          last = chunk.toString().trim().split('\n').at(-1) ?? last;
        },
      },
    );
    let seen = '';
    // The plugin stands still when its count does not move between two looks.
    await eventually(
      () => {
        const before = seen;
        seen = last;
        return bytes > 0 && seen !== '' && seen === before;
      },
      { label: 'the plugin to stand still' },
    );
    assert(bytes < 1024 * 1024, `${bytes}`);
    isReady();
    assert.equal((await started.ending).kind, 'ended');
    assert.equal(bytes, 400 * 65536);
  });

  it('does nothing at all when the run was cancelled before', async () => {
    const started = start('exit 0');
    started.stop(StopReason.CANCEL);
    await assert.rejects(started.ending, { name: 'RUN_CANCELLED' });
    assert.equal(started.startedCount(), 0);
  });

  it('gives the plugin its arguments and variables as they are', async () => {
    const texts = [
      '',
      ' a  b ',
      "it's",
      '"$(id)" `id` $HOME \\n \\',
      'two\nlines\n',
      '-n',
      '*',
      '\u00e9\x1b[1m',
    ];
    const script = `printf '<%s>' "$@" "$PT_text"; echo; echo $LINENO\n`;
    const done = await run(script, { arguments: texts, environment: { PT_text: "x'\ny" } });
    const expected = [...texts, "x'\ny"].map((text) => `<${text}>`).join('');
    assert.equal(Buffer.from(done.stdout(), 'latin1').toString(), `${expected}\n1\n`);
  });
}
