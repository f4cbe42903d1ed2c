import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { NodeProtocolSettings } from '../../../services/lmm/transports/supervise.js';
import type { NodeEnding, Transport } from '../../../services/lmm/transports/transport.js';
import { StopReason } from '../../../services/shared/gen/rune/v1/run.js';
import { newId } from '../../../services/shared/messages/ids.js';
import { eventually } from '../../support/eventually.js';
import { nodeOf, openLink, type Link } from '../../support/links.js';
import { findProcesses, isAlive, parentPid, seeProcesses } from '../../support/processes.js';
import { commandFor, runPlugin, type PluginChanges, type PluginRun } from '../../support/run-plugin.js';
import { HOSTILE_PLUGINS, type HostilePlugin } from './hostile-plugins.js';
import type { MediatorTask } from './mediator-process.js';
import { itBut, type Exceptions } from './runs-over.js';

/** A lease that is short, so that the tests are, but far from the heartbeats and margins far from it, for a busy machine. */
const SETTINGS: NodeProtocolSettings = {
  heartbeatMs: 300,
  leaseMs: 4_000,
  beginTimeoutMs: 30_000,
  endMarginMs: 30_000,
};

/** A plugin may have to wait until others of this file have made room. */
const READY_MS = 90_000;

interface Case {
  readonly plugin: HostilePlugin;
  readonly runId: string;
  /** Stands in the command line of every process of the plugin that must end. */
  readonly mark: string;
  readonly script: string;
}

const LEASE_ENDING = { kind: 'ended', stopReason: StopReason.LEASE, confirmed: true };

const FLOOD: HostilePlugin = {
  title: 'a flood of output that ignores TERM',
  script: (sleep) => `echo ready; trap '' TERM; ${sleep} & printf -v x %65536s; while :; do echo "$x"; done`,
};

let marks = 0;

/** A command that stays for hours and is found by its odd number. */
function sleepMark(): string {
  marks += 1;
  return `86400.${process.pid}${String(marks).padStart(4, '0')}`;
}

function makeCases(endsItself: boolean): Case[] {
  return HOSTILE_PLUGINS.map((plugin) => {
    const mark = sleepMark();
    return { plugin, runId: newId(), mark, script: plugin.script(`sleep ${mark}`, endsItself) };
  });
}

/** What is left of each case, in their order, by one look at the machine: it may be full of other tests' processes. */
function leftOf(cases: readonly Case[]): number[][] {
  const seen = seeProcesses();
  return cases.map(({ mark, runId }) => [
    ...new Set([...findProcesses(mark, seen), ...findProcesses(runId, seen)]),
  ]);
}

function assertNothingLeft(cases: readonly Case[]): void {
  leftOf(cases).forEach((left, index) => assert.deepEqual(left, [], cases[index]?.plugin.title));
}

/** What every link promises about how a plugin ends. `getLink` is asked when a test runs. */
export function describeEndings(getLink: () => Link, exceptions: Exceptions = {}): void {
  const it = itBut(exceptions);
  let transport: Transport;
  before(() => {
    transport = openLink(getLink(), SETTINGS);
  });
  after(() => transport.close());

  const start = (script: string, changes: PluginChanges = {}): PluginRun =>
    runPlugin(transport, commandFor(nodeOf(getLink()), script, changes));

  /** Where nothing is heard of a plugin that runs, its processes show that it does. */
  const isHeard = (): boolean => getLink().kind !== 'ssm';

  /** Runs every hostile plugin at once, and answers with their endings once nothing may be left of them. */
  const runAll = async (
    cases: readonly Case[],
    changes: PluginChanges,
    whenReady: (run: PluginRun) => void,
  ): Promise<Map<Case, NodeEnding>> => {
    const endings = await Promise.all(
      cases.map(async (each) => {
        const run = start(each.script, { ...changes, runId: each.runId });
        const ready = eventually(
          () =>
            isHeard()
              ? run.stdout().includes('ready')
              : findProcesses(each.mark).length > 0 || run.stdout() !== '',
          { label: `${each.plugin.title} to be ready`, timeoutMs: READY_MS },
        );
        // How it ended tells more than that it was never ready.
        await Promise.race([ready, run.ending]);
        ready.catch(() => undefined);
        whenReady(run);
        return [each, await run.ending] as const;
      }),
    );
    return new Map(endings);
  };

  const expectConfirmed = (endings: Map<Case, NodeEnding>, stopReason: StopReason | undefined): void => {
    for (const [each, ending] of endings) {
      const said = `${each.plugin.title}: ${JSON.stringify(ending)}`;
      assert(ending.kind === 'ended', said);
      assert.equal(ending.stopReason, stopReason, said);
      assert.equal(ending.confirmed, true, said);
      assert.equal(ending.maySurvive, false, said);
    }
    // The confirmations came before: there is nothing to wait for.
    assertNothingLeft([...endings.keys()]);
  };

  it('ends everything of every hostile plugin at its timeout, and confirms it', async () => {
    const endings = await runAll(makeCases(false), { timeoutMs: 2_500 }, () => undefined);
    expectConfirmed(endings, StopReason.TIMEOUT);
  });

  it('ends everything of every hostile plugin when it is cancelled, and confirms it', async () => {
    const endings = await runAll(makeCases(false), {}, (run) => run.stop(StopReason.SHUTDOWN));
    expectConfirmed(endings, StopReason.SHUTDOWN);
  });

  it('ends and counts what every hostile plugin leaves behind at its own end', async () => {
    const endings = await runAll(makeCases(true), {}, () => undefined);
    expectConfirmed(endings, undefined);
    for (const [each, ending] of endings) {
      assert(ending.kind === 'ended');
      assert.deepEqual(ending.end, { exitCode: 0 }, each.plugin.title);
      assert(ending.leftProcesses > 0, each.plugin.title);
    }
  });

  describe('with a mediator of its own', () => {
    let mediator: ChildProcess;
    let lines: Record<string, unknown>[];

    const startMediator = (task: MediatorTask): void => {
      const program = new URL('./mediator-process.js', import.meta.url).pathname;
      mediator = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] });
      lines = [];
      assert(mediator.stdin && mediator.stdout);
      // Not as an argument: the marks of the plugins must stand in no other process.
      mediator.stdin.end(JSON.stringify(task));
      createInterface(mediator.stdout).on('line', (line) =>
        lines.push(JSON.parse(line) as Record<string, unknown>),
      );
    };
    afterEach(() => {
      mediator.kill('SIGKILL');
    });

    const startAll = async (cases: readonly Case[], changes: PluginChanges): Promise<void> => {
      const runs = cases.map(({ runId, script }) => ({ runId, script, changes }));
      startMediator({ link: getLink(), settings: SETTINGS, runs });
      await eventually(() => lines.filter((line) => line['ready'] === true).length === cases.length, {
        label: 'every plugin to be ready',
      });
      // A plugin that is ready may not have got to its first process yet.
      await eventually(
        () => {
          const none = leftOf(cases).findIndex((left) => left.length === 0);
          assert.equal(none, -1, cases[none]?.plugin.title);
        },
        { label: 'processes of every plugin' },
      );
    };

    const expectNothingLeft = (cases: readonly Case[]): Promise<unknown> =>
      eventually(() => assertNothingLeft(cases), { label: 'every process of every plugin to end' });

    it('ends everything of every hostile plugin when the link is cut', async () => {
      const cases = makeCases(false);
      await startAll(cases, { timeoutMs: 60_000 });
      mediator.kill('SIGKILL');
      await expectNothingLeft(cases);
    });

    it('ends everything when the mediator is frozen, a flood of output too, and tells it afterwards', async () => {
      const cases = makeCases(false);
      const mark = sleepMark();
      const flood = {
        plugin: FLOOD,
        runId: newId(),
        mark,
        script: FLOOD.script(`sleep ${mark}`, false),
      };
      await startAll([...cases, flood], { timeoutMs: 60_000 });
      const supervisor = parentPid(parentPid(findProcesses(mark)[0] ?? 0));
      assert(isAlive(supervisor));
      mediator.kill('SIGSTOP');
      await expectNothingLeft([...cases, flood]);
      // Nobody takes the flood, so its supervisor cannot say how it ended, and gives up.
      await eventually(() => !isAlive(supervisor), { label: 'the supervisor of the flood to give up' });
      mediator.kill('SIGCONT');
      await eventually(
        () => lines.filter((line) => line['ready'] === undefined).length === cases.length + 1,
        {
          label: 'the endings of all runs',
        },
      );
      for (const { runId, plugin } of cases) {
        const ending = lines.find((line) => line['runId'] === runId && line['ready'] === undefined)?.[
          'ending'
        ];
        const { kind, stopReason, confirmed } = ending as Record<string, unknown>;
        assert.deepEqual(
          { kind, stopReason, confirmed },
          LEASE_ENDING,
          `${plugin.title}: ${JSON.stringify(ending)}`,
        );
      }
    });
  });

  describe('when the plugin', () => {
    it('stops itself five hundred times, sees it end as ever', async () => {
      const goOn = '(while kill -CONT $$ 2>/dev/null; do sleep 0.002; done) &';
      const run = start(`${goOn} for ((i = 0; i < 500; i++)); do kill -STOP $$; done; exit 3`);
      const ending = await run.ending;
      assert.equal(ending.kind, 'ended');
      assert.deepEqual(ending.kind === 'ended' && ending.end, { exitCode: 3 });
    });

    it('kills its supervisor, ends it all the same and says that the outcome is unknown', async () => {
      const mark = sleepMark();
      const run = start(`sleep ${mark} & kill -KILL $PPID; sleep ${mark}`);
      const ending = await run.ending;
      assert.equal(ending.kind, 'lost');
      assert(ending.kind === 'lost' && ending.started);
      assert(ending.stoppedOnNodeByMs > Date.now());
      await eventually(() => findProcesses(mark).length === 0, { label: 'the plugin to end' });
    });

    it('leaves processes as its manifest allows, lets them live and counts them', async () => {
      const mark = sleepMark();
      const run = start(`sleep ${mark} & sleep ${mark} & exit 4`, { leavesProcesses: true });
      const ending = await run.ending;
      assert(ending.kind === 'ended');
      assert.deepEqual(ending.end, { exitCode: 4 });
      assert.equal(ending.leftProcesses, 2);
      assert.equal(ending.confirmed, false);
      assert.equal(ending.maySurvive, true);
      const left = findProcesses(mark);
      assert.equal(left.length, 2);
      for (const pid of left) process.kill(pid, 'SIGKILL');
    });

    it('ends while a helper of its own is still finishing, does not call that left over', async () => {
      const run = start('exec > >(read -r line; sleep 0.05; echo "$line, and more"); echo done');
      const ending = await run.ending;
      assert(ending.kind === 'ended');
      assert.equal(ending.leftProcesses, 0);
      assert.equal(ending.confirmed, true);
      assert.equal(run.stdout(), 'done, and more\n');
    });

    it('ends itself on TERM, keeps its own exit code beside the reason', async () => {
      const run = start('trap "exit 7" TERM; echo ready; while :; do sleep 0.1; done', {
        timeoutMs: 500,
        killGraceMs: 10_000,
      });
      const ending = await run.ending;
      assert(ending.kind === 'ended');
      assert.deepEqual(ending.end, { exitCode: 7 });
      assert.equal(ending.stopReason, StopReason.TIMEOUT);
    });

    it('prints in the middle of a line when it is stopped, loses no byte of it', async () => {
      const run = start(
        `trap "printf 'ne\\n'; exit" TERM; printf 'half a li'; echo ready >&2; while :; do read -t 0.1 <>/dev/null || sleep 0.1; done`,
      );
      await eventually(() => run.stderr().includes('ready'), { label: 'half a line' });
      run.stop(StopReason.CANCEL);
      const ending = await run.ending;
      assert(ending.kind === 'ended');
      assert.equal(run.stdout(), 'half a line\n');
    });
  });

  it('confirms a cancel although nobody reads the output', async () => {
    let given = 0;
    const never = new Promise<void>(() => undefined);
    const run = runPlugin(
      transport,
      commandFor(
        nodeOf(getLink()),
        `trap '' TERM; printf -v x %65536s; while :; do echo "$x"; echo "$x" >&2; done`,
      ),
      {
        started: () => undefined,
        stdout: (chunk) => {
          given += chunk.length;
          return never;
        },
        stderr: () => never,
      },
    );
    await eventually(() => given > 0, { label: 'output' });
    run.stop(StopReason.CANCEL);
    const ending = await run.ending;
    assert(ending.kind === 'ended');
    assert.equal(ending.confirmed, true);
    assert(given < 1024 * 1024);
  });
}
