import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Channel, ChannelEnd } from '../../../services/lmm/transports/channel.js';
import type { NodeProtocolSettings } from '../../../services/lmm/transports/supervise.js';
import type { RuneError } from '../../../services/shared/errors.js';
import { StopReason } from '../../../services/shared/gen/rune/v1/run.js';
import { overChannel } from '../../support/bash-channel.js';
import { eventually } from '../../support/eventually.js';
import { nodeOf } from '../../support/links.js';
import {
  commandFor,
  refusalOf,
  runPlugin,
  type PluginChanges,
  type PluginRun,
} from '../../support/run-plugin.js';

const SETTINGS: NodeProtocolSettings = {
  heartbeatMs: 60_000,
  leaseMs: 1_000,
  beginTimeoutMs: 60_000,
  endMarginMs: 100,
};

/** A node that says what the test tells it to. */
interface ScriptedNode {
  readonly channel: Channel;
  /** What the mediator has sent so far. */
  sent(): string;
  /** Says words of the supervisor on both outputs. */
  say(...words: string[]): void;
  /** Says that the plugin's own process began. */
  sayStarted(): void;
  readonly stdout: PassThrough;
  readonly stderr: PassThrough;
  end(end: ChannelEnd): void;
  isDestroyed(): boolean;
}

function scriptedNode(): ScriptedNode {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  let sent = '';
  let destroyed = false;
  let end: (end: ChannelEnd) => void = () => undefined;
  const ended = new Promise<ChannelEnd>((resolve) => (end = resolve));
  stdin.on('data', (chunk: Buffer) => (sent += chunk.toString('latin1')));
  const token = (name: string): string => new RegExp(`${name}=(\\w+)`).exec(sent)?.[1] ?? '';
  return {
    channel: {
      stdin,
      stdout,
      stderr,
      ended,
      destroy: () => {
        destroyed = true;
      },
    },
    sent: () => sent,
    say: (...words) => {
      for (const stream of [stdout, stderr])
        for (const word of words) stream.write(`\x1e${token('NONCE')} ${word}\n`);
    },
    sayStarted: () => void stdout.write(`\x1e${token('TOKEN')} started\n`),
    stdout,
    stderr,
    end: (how) => {
      stdout.end();
      stderr.end();
      end(how);
    },
    isDestroyed: () => destroyed,
  };
}

const exited = (exitCode: number): ChannelEnd => ({ kind: 'exited', exitCode, signal: null });
const LOST: ChannelEnd = { kind: 'lost', reason: 'keepalive timeout' };

describe('supervising a run', () => {
  let node: ScriptedNode;
  beforeEach(() => {
    node = scriptedNode();
  });

  const start = (changes: PluginChanges = {}, settings: Partial<NodeProtocolSettings> = {}): PluginRun =>
    runPlugin(
      overChannel(node.channel, { ...SETTINGS, ...settings }),
      commandFor(nodeOf({ kind: 'local' }), 'the script', { killGraceMs: 100, ...changes }),
    );

  const uploaded = (): Promise<unknown> =>
    eventually(() => node.sent().includes('the script'), { label: 'the upload' });
  const went = (): Promise<unknown> => eventually(() => node.sent().endsWith('go\n'), { label: 'go' });

  const begun = async (
    changes: PluginChanges = {},
    settings: Partial<NodeProtocolSettings> = {},
  ): Promise<PluginRun> => {
    const run = start(changes, settings);
    await uploaded();
    node.say('begin');
    await went();
    return run;
  };

  const expectNotStarted = async (run: PluginRun, reason: RegExp): Promise<RuneError> => {
    const error = await refusalOf(run);
    assert.equal(error.name, 'NODE_SETUP_FAILED', error.message);
    assert.match(error.message, reason);
    assert.equal(error.facts.node, 'web01');
    assert(node.isDestroyed());
    return error;
  };

  describe('before the node was allowed to begin, nothing can have run:', () => {
    it('the node does not say begin in time', async () => {
      const run = start({}, { beginTimeoutMs: 50 });
      await uploaded();
      node.stderr.write('motd: waiting for a password\n');
      const error = await expectNotStarted(run, /did not begin within 50 ms/);
      assert.match(error.facts.stderrTail ?? '', /waiting for a password/);
      assert(!node.sent().includes('go\n'));
    });

    it('the link is lost', async () => {
      const run = start();
      await uploaded();
      node.end(LOST);
      await expectNotStarted(run, /link was lost \(keepalive timeout\) before the run could begin/);
      assert(!node.sent().includes('go\n'));
    });

    for (const code of [1, 97, 127, 255]) {
      it(`the shell ends with exit code ${code}`, async () => {
        const run = start();
        await uploaded();
        node.stderr.write('sh: bash: not found\n');
        node.end(exited(code));
        const error = await expectNotStarted(run, new RegExp(`exit code ${code} before`));
        assert.match(error.facts.stderrTail ?? '', /bash: not found/);
      });
    }

    it('the run is cancelled', async () => {
      const run = start();
      await uploaded();
      run.stop(StopReason.CANCEL);
      await assert.rejects(run.ending, { name: 'RUN_CANCELLED' });
      node.say('begin');
      assert(!node.sent().includes('go\n'));
      assert(node.isDestroyed());
    });
  });

  describe('after it was allowed to begin', () => {
    it('takes the node’s word that it could not start the plugin', async () => {
      const run = await begun();
      node.stderr.write('rune: no process can be started\n');
      node.end(exited(97));
      const error = await expectNotStarted(run, /could not start it/);
      assert.match(error.facts.stderrTail ?? '', /no process can be started/);
    });

    it('takes an end without started for a plugin that did not begin', async () => {
      const run = await begun();
      node.say('end signal KILL yes 0 none');
      await expectNotStarted(run, /process of the plugin did not begin/);
    });

    for (const [what, end] of [
      ['the link is lost', LOST],
      ['the supervisor is killed', { kind: 'exited', exitCode: null, signal: 'KILL' }],
      ['the supervisor ends without a word', exited(0)],
    ] as const) {
      it(`does not know the outcome when ${what}, started or not`, async () => {
        const run = await begun();
        node.end(end);
        const ending = await run.ending;
        assert(ending.kind === 'lost');
        assert.equal(ending.started, false);

        node = scriptedNode();
        const other = await begun();
        node.sayStarted();
        node.end(end);
        const otherEnding = await other.ending;
        assert(otherEnding.kind === 'lost');
        assert.equal(otherEnding.started, true);
      });
    }

    it('does not take exit code 97 for "not started" once the plugin has begun', async () => {
      const run = await begun();
      node.sayStarted();
      node.end(exited(97));
      assert.equal((await run.ending).kind, 'lost');
    });

    it('says when the node will have stopped the plugin: lease or time left, then grace and margin', async () => {
      const bound = async (changes: PluginChanges): Promise<number> => {
        node = scriptedNode();
        const run = await begun(changes);
        const before = Date.now();
        node.end(LOST);
        const ending = await run.ending;
        assert(ending.kind === 'lost');
        return ending.stoppedOnNodeByMs - before;
      };
      // A lease of 1000, a grace of 200, a margin of 100.
      const byLease = await bound({ timeoutMs: 60_000, killGraceMs: 200 });
      assert(byLease >= 1_300 && byLease < 2_300, `${byLease}`);
      const byTime = await bound({ timeoutMs: 500, killGraceMs: 200 });
      assert(byTime > 300 && byTime <= 801 + 100, `${byTime}`);
    });

    it('gives the channel up when the node does not speak in time after the timeout', async () => {
      const run = await begun({ timeoutMs: 50 });
      const ending = await run.ending;
      assert(ending.kind === 'lost');
      assert.match(ending.reason, /did not say in time/);
      assert(node.isDestroyed());
    });

    it('gives the channel up when the node does not answer a cancel in time', async () => {
      const run = await begun({ timeoutMs: 600_000 });
      node.sayStarted();
      run.stop(StopReason.ORPHANED);
      const ending = await run.ending;
      assert(ending.kind === 'lost');
      assert.equal(ending.stopReason, StopReason.ORPHANED);
      assert(node.sent().endsWith('cancel\n'));
    });

    it('says again and again that it is there, and after a cancel that it wants the end', async () => {
      const run = await begun({}, { heartbeatMs: 10, endMarginMs: 10_000 });
      await eventually(() => node.sent().endsWith('go\n\n\n\n'), { label: 'three heartbeats' });
      run.stop(StopReason.CANCEL);
      await eventually(() => node.sent().endsWith('cancel\ncancel\ncancel\n'), { label: 'three cancels' });
      node.sayStarted();
      node.say('end signal TERM yes 0 cancel');
      await run.ending;
    });

    for (const [reason, expected] of [
      ['timeout', StopReason.TIMEOUT],
      ['cut', StopReason.CUT],
      ['lease', StopReason.LEASE],
      // Nobody asked for it: the node forged it, and the plugin ended of its own accord.
      ['cancel', undefined],
      ['none', undefined],
    ] as const) {
      it(`reads an end with the reason ${reason}`, async () => {
        const run = await begun();
        node.sayStarted();
        node.say(`end signal KILL no 3 ${reason}`);
        const ending = await run.ending;
        assert(ending.kind === 'ended');
        const { end, stopReason, confirmed, maySurvive, leftProcesses } = ending;
        assert.deepEqual(
          { end, stopReason, confirmed, maySurvive, leftProcesses },
          {
            end: { signal: 'KILL' },
            stopReason: expected,
            confirmed: false,
            maySurvive: true,
            leftProcesses: 3,
          },
        );
      });
    }

    it('waits for the end on both outputs, so that the last words of both are there', async () => {
      const run = await begun();
      node.sayStarted();
      const nonce = /NONCE=(\w+)/.exec(node.sent())?.[1];
      node.stdout.write(`out\x1e${nonce} end exit 0 yes 0 none\n`);
      await eventually(() => run.stdout() === 'out', { label: 'the output' });
      node.stderr.write('last words');
      node.stderr.write(`\x1e${nonce} end exit 0 yes 0 none\n`);
      assert.equal((await run.ending).kind, 'ended');
      assert.equal(run.stderr(), 'last words');
    });

    it('takes one end for enough when the channel has ended', async () => {
      const run = await begun();
      node.sayStarted();
      const nonce = /NONCE=(\w+)/.exec(node.sent())?.[1];
      node.stdout.write(`\x1e${nonce} end exit 4 yes 0 none\n`);
      node.end(exited(0));
      const ending = await run.ending;
      assert(ending.kind === 'ended');
      assert.deepEqual(ending.end, { exitCode: 4 });
    });

    it('keeps nothing of the upload in memory once it is sent', async () => {
      let upload: WeakRef<Buffer> | undefined;
      node.channel.stdin.once('data', (chunk: Buffer) => (upload = new WeakRef(chunk)));
      const run = await begun();
      node.sayStarted();
      setFlagsFromString('--expose-gc');
      const collectGarbage = runInNewContext('gc') as () => void;
      const isGone = (): boolean => {
        collectGarbage();
        return upload !== undefined && upload.deref() === undefined;
      };
      await eventually(isGone, { label: 'the upload to be given up' });
      node.say('end exit 0 yes 0 none');
      await run.ending;
    });

    it('measures starting and running apart', async () => {
      const run = await begun();
      node.sayStarted();
      await eventually(() => run.startedCount() === 1, { label: 'the start' });
      node.say('end exit 0 yes 0 none');
      const { phases } = await run.ending;
      assert(phases.startMs > 0 && phases.runMs > 0);
    });
  });
});
