import assert from 'node:assert/strict';
import { encodeForSpareShell, encodeSpareShell } from '../../../services/lmm/transports/encode-upload.js';
import { NO_LIBRARY, SHIPPED_LIBRARY } from '../../../services/lmm/transports/sent-library.js';
import { DEFAULT_NODE_PROTOCOL, superviseRun } from '../../../services/lmm/transports/supervise.js';
import { StopReason } from '../../../services/shared/gen/rune/v1/run.js';
import { newId } from '../../../services/shared/messages/ids.js';
import { nodePath } from '../../support/bash.js';
import { openBashChannel, type BashChannel } from '../../support/bash-channel.js';
import { eventually } from '../../support/eventually.js';
import { nodeOf } from '../../support/links.js';
import { findProcesses, parentPid, seeProcesses } from '../../support/processes.js';
import { commandFor, runPlugin, type PluginChanges, type PluginRun } from '../../support/run-plugin.js';

const WAIT_MS = 60_000;

/** A shell that waits for a run on this machine. */
interface Waiting {
  readonly channel: BashChannel;
  /** Its processes: the supervisor, and what becomes the plugin. */
  readonly pids: readonly number[];
  run(script: string, changes?: PluginChanges): PluginRun;
}

const command = (script: string, changes?: PluginChanges): ReturnType<typeof commandFor> =>
  commandFor(nodeOf({ kind: 'local' }), script, changes);

async function openSpareShell(waitMs = WAIT_MS): Promise<Waiting> {
  const mark = newId();
  const channel = openBashChannel({ PATH: nodePath, HOME: '/', MARK: mark });
  const { bytes, ...spare } = encodeSpareShell(NO_LIBRARY, waitMs);
  channel.stdin.write(bytes);
  const pids = await eventually(
    () => {
      const [supervisor] = findProcesses(mark);
      const plugin = seeProcesses().find(({ pid }) => parentPid(pid) === supervisor)?.pid;
      return supervisor !== undefined && plugin !== undefined && [supervisor, plugin];
    },
    { label: 'the spare shell' },
  );
  const run: Waiting['run'] = (script, changes) =>
    runPlugin(
      {
        run: (given, sink, stop) =>
          superviseRun(channel, {
            command: given,
            sink,
            stop,
            connectMs: 0,
            settings: DEFAULT_NODE_PROTOCOL,
            spare,
          }),
      },
      command(script, changes),
    );
  return { channel, pids, run };
}

describe('a shell that waits for its run', () => {
  const ended = ({ pids }: Waiting): Promise<unknown> =>
    eventually(() => seeProcesses().every(({ pid }) => !pids.includes(pid)), {
      label: 'both processes to end',
    });

  let early: Waiting;
  let earlyMs: number;
  before(async () => {
    early = await openSpareShell();
    earlyMs = performance.now();
  });

  it('gives the plugin what any other gives it', async () => {
    const { run, pids } = await openSpareShell();
    const script = 'echo "$0 $# $1 $LINENO $A"\ncat; echo "$$ $PPID $LINENO"; exit 4';
    const { ending, stdout } = run(script, {
      arguments: ['x y'],
      environment: { A: "it's" },
      input: '{"b":1}',
    });
    const end = await ending;
    assert(end.kind === 'ended' && end.confirmed, JSON.stringify(end));
    assert.deepEqual(end.end, { exitCode: 4 });
    assert.equal(stdout(), `plugin.sh 1 x y 1 it's\n{"b":1}${pids[1]} ${pids[0]} 2\n`);
  });

  it('looks at what the plugin requires when it is known', async () => {
    const { run } = await openSpareShell();
    const { ending } = run('echo ran', { requires: { commands: ['no-such-command'], os: [] } });
    await assert.rejects(ending, { name: 'NODE_LACKS_REQUIREMENT' });
  });

  for (const [what, bytes] of [
    ['garbage', Buffer.from('echo it ran; echo it ran\n')],
    ['a count of another kind', Buffer.from('RUNE1:0000001x')],
    ['an end', undefined],
    ['half a header', Buffer.from('RUNE1')],
    ['a part of the run', encodeForSpareShell(command('echo it ran'), 1_000).subarray(0, 200)],
    ['all but the word go', encodeForSpareShell(command('echo it ran'), 1_000)],
  ] as const) {
    it(`evaluates nothing when it gets ${what}`, async () => {
      const waiting = await openSpareShell();
      const { channel } = waiting;
      channel.stdout.resume();
      channel.stderr.resume();
      channel.stdin.end(bytes);
      const end = await channel.ended;
      await ended(waiting);
      assert(!channel.received().includes('it ran'), channel.received().toString());
      assert(!channel.received().includes(' started'));
      if (what !== 'all but the word go') assert.equal(end.kind === 'exited' && end.exitCode, 97);
    });
  }

  it('ends when its channel ends in the middle of the library', async () => {
    const channel = openBashChannel({ PATH: nodePath });
    channel.stdout.resume();
    channel.stderr.resume();
    channel.stdin.end(encodeSpareShell(SHIPPED_LIBRARY, WAIT_MS).bytes.subarray(0, -100));
    assert.deepEqual(await channel.ended, { kind: 'exited', exitCode: 97, signal: null });
  });

  it('ends by itself when no run comes', async () => {
    const waiting = await openSpareShell(300);
    waiting.channel.stdout.resume();
    waiting.channel.stderr.resume();
    await ended(waiting);
    const end = await waiting.channel.ended;
    assert.equal(end.kind === 'exited' && end.exitCode, 97);
  });

  it('ends as a whole when one of its processes is killed, and then nothing ran', async () => {
    for (const killed of [0, 1]) {
      const waiting = await openSpareShell();
      process.kill(waiting.pids[killed] ?? 0, 'SIGKILL');
      const { ending, stdout } = waiting.run('echo ran');
      await assert.rejects(ending, { name: 'NODE_SETUP_FAILED' });
      assert.equal(stdout(), '');
      await ended(waiting);
    }
  });

  it('ends the plugin and all that it left when its supervisor is killed, though they are older than its watchdog', async () => {
    const waiting = await openSpareShell();
    const script = 'setsid sleep 86400 & (set -m; sleep 86400 & ); echo ready; kill -KILL $PPID; sleep 86400';
    const { ending, runId } = waiting.run(script);
    assert.equal((await ending).kind, 'lost');
    await ended(waiting);
    await eventually(() => findProcesses(runId).length === 0, { label: 'all that it left to end' });
  });

  it('ends the plugin when its watchdog is killed', async () => {
    const { run } = await openSpareShell();
    const { ending } = run(
      'for p in $(ps -o pid= --ppid $PPID); do [ $p = $$ ] || kill -KILL $p; done; sleep 86400',
    );
    const end = await ending;
    assert(end.kind === 'ended' && end.confirmed, JSON.stringify(end));
    assert.deepEqual([end.end, end.stopReason], [{ signal: 'KILL' }, StopReason.CUT]);
  });

  it('begins with the time of the plugin', async () => {
    await eventually(() => performance.now() - earlyMs > 1_100, { label: 'a second since it began to wait' });
    const { ending, stdout } = early.run('echo "$SECONDS"');
    await ending;
    assert.equal(stdout(), '0\n');
  });

  it('does not count, nor end, what waits for another run beside it', async () => {
    const [other, one] = [await openSpareShell(), await openSpareShell()];
    const end = await one.run('sleep 86400 & setsid sleep 86400 & exit 0').ending;
    assert(end.kind === 'ended' && end.confirmed, JSON.stringify(end));
    assert.equal(end.leftProcesses, 2);
    const otherEnd = await other.run('echo ran').ending;
    assert(otherEnd.kind === 'ended' && otherEnd.leftProcesses === 0);
  });
});
