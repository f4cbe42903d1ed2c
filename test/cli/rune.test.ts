import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { gate } from '../support/gate.js';
import { runeWorld } from '../support/rune-world.js';

describe('rune', () => {
  const { rune, start } = runeWorld();

  it('--version names the version on stdout', async () => {
    const { code, out } = await rune(['--version']);
    assert.equal(code, 0);
    assert.match(out, /^rune \d+\.\d+\.\d+$/m);
  });

  it('--version does not wait for gRPC to be loaded', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'rune-version-'));
    try {
      const hook = join(directory, 'loaded.cjs');
      await writeFile(hook, "process.on('exit', () => console.error(Object.keys(require.cache).join(' ')));");
      // The modules that the installed file is made of, since in there nobody sees which are loaded.
      const main = join(packageRoot, 'dist/services/cli/main.js');
      const { status, stderr } = spawnSync(process.execPath, ['--require', hook, main, '--version'], {
        encoding: 'utf8',
      });
      assert.equal(status, 0);
      assert.match(stderr, /commander/);
      assert.doesNotMatch(stderr, /grpc|yaml/);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('without a command shows its help and ends with 2', async () => {
    const { code, err } = await rune([]);
    assert.equal(code, 2);
    assert.match(err, /^Usage: rune/);
  });

  it('every command has help with an example', async () => {
    for (const command of [
      ['run'],
      ['executions'],
      ['executions', 'watch'],
      ['actions'],
      ['actions', 'show'],
      ['nodes'],
      ['nodes', 'show'],
      ['doctor'],
      ['up'],
      ['completion'],
    ]) {
      const { code, out } = await rune([...command, '--help']);
      assert.equal(code, 0);
      assert.match(out, /^Examples?:\n {2}/m, command.join(' '));
    }
  });

  it('the help of a catalogue names the options that it takes, and no list is shown as a default', async () => {
    const { out } = await rune(['nodes', '--help']);
    for (const option of ['--group', '--select', '--output', '--server'])
      assert.ok(out.includes(option), out);
    assert.match((await rune(['actions', '--help'])).out, /--output/);
    for (const command of ['run', 'up'])
      assert.doesNotMatch((await rune([command, '--help'])).out, /default: \[\]/);
  });

  it('help explains a command or the exit codes, and refuses another topic', async () => {
    assert.match((await rune(['help', 'exit-codes'])).out, /^ 124  TIMED_OUT/m);
    assert.match((await rune(['help', 'nodes', 'show'])).out, /^Usage: rune nodes show/);
    assert.equal((await rune(['help', 'nothing'])).code, 2);
  });

  it('suggests what was meant', async () => {
    assert.match((await rune(['rnu'])).err, /Did you mean run\?/);
  });

  it('ends quietly when its reader has gone', async () => {
    const process = start(['run', '--help']);
    process.child.stdout!.destroy();
    assert.equal(await process.exited, 0);
    assert.equal(process.err(), '');
  });

  it('a service that accepts and never speaks ends with 5 after --call-timeout', async () => {
    const sockets = new Set<{ destroy(): void }>();
    const server = createServer((socket) => sockets.add(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const { code } = await rune(['nodes', '--server', `127.0.0.1:${port}`, '--call-timeout', '300ms']);
    assert.equal(code, 5);
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('a call that answers once', () => {
  const { lomOf, rune, start } = runeWorld();

  it('ends with 5 after --call-timeout', async () => {
    const lom = await lomOf(() => ({ listActions: () => new Promise(() => undefined) }));
    const { code, err } = await rune(['actions', '--server', lom.address, '--call-timeout', '200ms']);
    assert.equal(code, 5);
    assert.match(err, /CALL_DEADLINE_EXCEEDED/);
  });

  it('ends with 130 at Ctrl-C', async () => {
    const request = gate();
    const lom = await lomOf(() => ({
      listActions: () => {
        request.open();
        return new Promise(() => undefined);
      },
    }));
    const process = start(['actions', '--server', lom.address, '--call-timeout', '1m']);
    await request.opened;
    process.child.kill('SIGINT');
    assert.equal(await process.exited, 130);
  });
});
