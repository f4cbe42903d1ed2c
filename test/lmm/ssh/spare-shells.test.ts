import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SshSettings } from '../../../services/lmm/transports/ssh/ssh-settings.js';
import { shippedLibrary } from '../../../services/shared/bundle/shipped-library.js';
import { eventually } from '../../support/eventually.js';
import { startSshd, type TestSshd } from '../../support/sshd.js';
import { transportOn, type TransportOn } from './transport-on.js';

describe('a spare shell', () => {
  let sshd: TestSshd;
  let on: TransportOn;
  before(async () => {
    sshd = await startSshd();
  });
  after(() => sshd.stop());
  const begin = async (settings: Partial<SshSettings> = {}): Promise<void> => {
    on = await transportOn(sshd, settings);
  };
  afterEach(async () => {
    await on.transport.close();
    await eventually(() => sshd.descendants().length === 0, { label: 'every process on the node to end' });
  });

  const say = async (
    script: string,
    changes: Parameters<TransportOn['command']>[1] = {},
  ): Promise<string> => {
    const { ending, stdout } = await on.run(on.command(script, changes));
    assert(ending.kind === 'ended' && ending.confirmed, JSON.stringify(ending));
    return stdout.trim();
  };
  /** Both processes of each shell that waits: the supervisor and what becomes the plugin. */
  const shells = (): number[] =>
    sshd.descendants().filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/comm`, 'utf8') === 'bash\n';
      } catch {
        return false; // It is gone.
      }
    });
  const untilMade = (count: number): Promise<unknown> =>
    eventually(() => on.transport.metrics().sparesMade === count && shells().length >= 2, {
      label: `${count} spare shells`,
    });

  it('is there before the next run on its connection, which begins in it, and serves that one alone', async () => {
    await begin();
    const first = await say('echo $PPID');
    await untilMade(1);
    await eventually(() => shells().length === 2, { label: 'both processes' });
    const waiting = shells();
    assert(!waiting.includes(Number(first)));
    const second = (await say('echo $PPID $$')).split(' ').map(Number);
    assert.deepEqual(
      second,
      waiting.toSorted((a, b) => a - b),
    );
    assert.equal(on.transport.metrics().sparesTaken, 1);
    await untilMade(2);
    assert(!waiting.includes(Number(await say('echo $PPID'))));
    assert.equal(sshd.loginCount() > 0 && on.transport.metrics().handshakes, 1);
  });

  it('that was killed costs the run nothing but the way over another one', async () => {
    await begin();
    await say('true');
    await untilMade(1);
    for (const pid of shells()) process.kill(pid, 'SIGKILL');
    assert.equal(await say('echo ran'), 'ran');
    assert.equal(on.transport.metrics().sparesTaken, 1);
  });

  it('whose connection does not answer is given up for another connection, and nothing runs twice', async () => {
    await begin({ channelOpenTimeoutMs: 300 });
    const trace = join(sshd.directory, 'trace-of-spare');
    await say('true');
    await untilMade(1);
    sshd.signalSessions('SIGSTOP');
    try {
      await say('echo ran >>"$1"', { arguments: [trace] });
    } finally {
      sshd.signalSessions('SIGCONT');
    }
    assert.deepEqual(
      [on.transport.metrics().handshakes, on.transport.metrics().evictions],
      [2, 1],
      'the connection was replaced',
    );
    await on.transport.close();
    await eventually(() => sshd.descendants().length === 0, { label: 'every process on the node to end' });
    assert.equal(readFileSync(trace, 'utf8'), 'ran\n');
  });

  it('ends when a run comes that it cannot serve', async () => {
    await begin();
    await say('true');
    await untilMade(1);
    const waiting = shells();
    const script = '#!/bin/sh\necho "$PPID"\n';
    const supervisor = Number(await say(script, { delivery: 'directory' }));
    assert(!waiting.includes(supervisor));
    await eventually(() => shells().length === 0, { label: 'the shell to end' });
    const { sparesMade, sparesTaken, spares } = on.transport.metrics();
    assert.deepEqual({ sparesMade, sparesTaken, spares }, { sparesMade: 1, sparesTaken: 0, spares: 0 });
  });

  it('has the library of the run before, and ends when the next one has another', async () => {
    await begin();
    await say('true');
    await untilMade(1);
    assert.equal(await say('echo "$KNOWN"', { library: Buffer.from('KNOWN=yes\n') }), 'yes');
    const { sparesTaken, spares } = on.transport.metrics();
    assert.deepEqual({ sparesTaken, spares }, { sparesTaken: 0, spares: 0 });
    const library = shippedLibrary();
    for (const taken of [0, 1]) {
      assert.equal(await say('type -t rune_ok', { library }), 'function');
      assert.equal(on.transport.metrics().sparesTaken, taken);
      await untilMade(taken + 2);
    }
  });

  it('ends when no run comes in its time', async () => {
    await begin({ spareShellForMs: 500 });
    await say('true');
    await untilMade(1);
    await eventually(() => shells().length === 0, { label: 'the shell to end' });
    assert.equal(on.transport.metrics().spares, 0);
    assert.equal(on.transport.metrics().idle, 1);
    assert.equal(await say('echo ran'), 'ran');
    assert.equal(on.transport.metrics().sparesTaken, 0);
  });

  it('is made nowhere when its time is 0', async () => {
    await begin({ spareShellForMs: 0 });
    for (let i = 0; i < 3; i += 1) await say('true');
    const { sparesMade, spares } = on.transport.metrics();
    assert.deepEqual({ sparesMade, spares }, { sparesMade: 0, spares: 0 });
  });

  it('does not keep its connection from making room for another node', async () => {
    await begin({ connectionsMax: 1 });
    await say('true');
    await untilMade(1);
    assert.equal(await say('id -un', { target: on.target({ user: 'rune-test' }) }), 'rune-test');
    assert.deepEqual([on.transport.metrics().open, on.transport.metrics().handshakes], [1, 2]);
  });

  it('is one of so many', async () => {
    await begin({ spareShellsMax: 1 });
    await say('true');
    await untilMade(1);
    await say('true', { target: on.target({ user: 'rune-test' }) });
    await eventually(() => on.transport.metrics().channels === 0, { label: 'the end of the channel' });
    assert.deepEqual([on.transport.metrics().spares, on.transport.metrics().sparesMade], [1, 1]);
    // Where it is, it is taken, and then there is room for one where a run ends last.
    await say('true');
    await say('true', { target: on.target({ user: 'rune-test' }) });
    assert.equal(on.transport.metrics().sparesTaken, 1);
  });

  it('is made only when few runs are under way, and then wherever one has ended meanwhile', async () => {
    await begin();
    const gate = join(sshd.directory, 'gate');
    const long = [1, 2, 3, 4].map(() => say('until [ -e "$1" ]; do sleep 0.05; done', { arguments: [gate] }));
    await eventually(() => on.transport.metrics().channels === 4, { label: 'four runs' });
    await say('true', { target: on.target({ user: 'rune-test' }) });
    assert.equal(on.transport.metrics().spares, 0);
    writeFileSync(gate, '');
    await Promise.all(long);
    await untilMade(2);
    assert.equal(on.transport.metrics().spares, 2);
  });
});
