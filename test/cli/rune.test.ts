import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RuneError } from '../../services/shared/errors.js';
import {
  GetActionResponse,
  GetNodeResponse,
  ListActionsResponse,
  ListNodesResponse,
  PlanExecutionResponse,
  type RunResponse,
} from '../../services/shared/gen/rune/v1/lom.js';
import type { EpsError } from '../../services/shared/gen/rune/v1/eps.js';
import { ExecutionState, type HostKey, Result, RunState } from '../../services/shared/gen/rune/v1/run.js';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { type ScriptedLom, startScriptedLom, TAIL_LOG, WEB01 } from '../support/scripted-lom.js';
import { createEvents, EXECUTION_ID, failure } from './events.js';
import { type RuneProcess, spawnRune, spawnRuneOnTerminal } from './spawn-rune.js';

type Script = Parameters<typeof startScriptedLom>[0];

/** Says so once something listens for SIGTERM. */
const SAYS_READY =
  "process.on('newListener', (name) => name === 'SIGTERM' && setImmediate(() => console.error('ready')));";

/** The stream of an execution that ends by itself. */
async function* play(...events: readonly RunResponse[]): AsyncGenerator<RunResponse> {
  yield* events;
}

function threeNodes(): RunResponse[] {
  const events = createEvents();
  return [
    events.accepted(3),
    events.running('web01'),
    events.running('web02'),
    events.log('web01', 'reading the journal'),
    events.succeeded('web01', { lines: ['a', 'b'], unit: 'nginx' }),
    events.failed('web02', 'NODE_UNREACHABLE', 'web02 (192.0.2.2:22) refused the connection.'),
    events.failed('web03', 'HOST_KEY_CHANGED', 'web03 presents another host key.'),
    events.final(ExecutionState.PARTIAL, { SUCCEEDED: 1, FAILED: 2 }),
  ];
}

describe('rune against a scripted LOM', () => {
  const servers: ScriptedLom[] = [];
  const processes: RuneProcess[] = [];
  afterEach(async () => {
    for (const { child } of processes.splice(0)) child.kill('SIGKILL');
    await Promise.all(servers.splice(0).map((server) => server.stop()));
  });

  const lomOf = async (script: Script) => {
    const server = await startScriptedLom(script);
    servers.push(server);
    return server;
  };
  const start = (args: readonly string[], options?: Parameters<typeof spawnRune>[1]) => {
    const process = spawnRune(args, options);
    processes.push(process);
    return process;
  };
  const rune = async (args: readonly string[], options?: Parameters<typeof spawnRune>[1]) => {
    const process = start(args, options);
    const code = await process.exited;
    return { code, out: process.out(), err: process.err() };
  };
  const run = async (lom: ScriptedLom, ...more: string[]) =>
    rune(['run', 'tail-log', '--node', 'web01', '--server', lom.address, ...more]);

  describe('run', () => {
    it('shows what happens on stderr, results on stdout, and ends with the worst of the runs', async () => {
      const lom = await lomOf(() => ({ run: () => play(...threeNodes()) }));
      const { code, out, err } = await run(lom);
      assert.equal(code, 6);
      assert.equal(out, 'web01:\n  lines: a, b\n  unit:  nginx\n');
      assert.match(err, /^tail-log 1\.2\.0 on 3 nodes, execution 0199aaaa-/);
      assert.match(err, /^web01 \| reading the journal$/m);
      assert.match(err, /^web01 {2}succeeded in 1\.2 s$/m);
      assert.match(
        err,
        /^web02 {2}failed after 3\.0 s {2}NODE_UNREACHABLE: web02 \(192\.0\.2\.2:22\) refused/m,
      );
      assert.match(err, /what to do:\n {4}- Nothing ran\. Check that web02 is up/);
      assert.match(err, /^1 succeeded, 2 failed in /m);
      assert.doesNotMatch(err + out, /\x1b/);
    });

    it('--output json writes exactly one document', async () => {
      const lom = await lomOf(() => ({ run: () => play(...threeNodes()) }));
      const { code, out, err } = await run(lom, '-o', 'json');
      const document = JSON.parse(out);
      assert.equal(code, 6);
      assert.equal(document.executionId, EXECUTION_ID);
      assert.equal(document.action, 'tail-log');
      assert.equal(document.version, '1.2.0');
      assert.equal(document.state, 'EXECUTION_STATE_PARTIAL');
      assert.deepEqual(document.counts, [
        { state: 'RUN_STATE_SUCCEEDED', count: 1 },
        { state: 'RUN_STATE_FAILED', count: 2 },
      ]);
      assert.deepEqual(
        document.runs.map((one: { node: string; state: string }) => [one.node, one.state]),
        [
          ['web01', 'RUN_STATE_SUCCEEDED'],
          ['web02', 'RUN_STATE_FAILED'],
          ['web03', 'RUN_STATE_FAILED'],
        ],
      );
      assert.deepEqual(document.runs[0].result.output, { lines: ['a', 'b'], unit: 'nginx' });
      assert.equal(document.runs[2].error.errorData.name, 'HOST_KEY_CHANGED');
      assert.equal(err, '');
    });

    it('--output ndjson writes one event a line', async () => {
      const lom = await lomOf(() => ({ run: () => play(...threeNodes()) }));
      const { out } = await run(lom, '-o', 'ndjson');
      const events = out
        .trimEnd()
        .split('\n')
        .map((line): { seq: number } => JSON.parse(line));
      assert.deepEqual(
        events.map(({ seq }) => seq),
        [1, 2, 3, 4, 5, 6, 7, 8],
      );
    });

    it('sends what the flags say', async () => {
      const lom = await lomOf(() => ({ run: () => play(...threeNodes()) }));
      await run(
        lom,
        '--node',
        'web02,web03',
        '--group',
        'db',
        '--select',
        'role=web',
        '--select',
        'env=prod',
        '--exclude',
        'db02',
        '--allow-empty',
        '--param',
        'lines=50',
        '--param',
        'unit=7',
        '--param',
        'extra:={"a":[1]}',
        '--reason',
        'INC-1',
        '--timeout',
        '1m30s',
        '--dry-run',
        '--yes',
        '--transport',
        'ssh',
        '--max-parallel',
        '7',
        '--batch',
        '25%',
        '--max-failures',
        '3',
        '--canary',
        '--on-locked',
        'refuse',
        '--queue-timeout',
        '5s',
        '--retries',
        '3',
        '--retry-delay',
        '500ms',
        '--request-id',
        'INC-1/2',
        '--cancel-on-disconnect',
      );
      const { header: _, ...request } = lom.runs[0]!;
      assert.deepEqual(request, {
        action: 'tail-log',
        targets: {
          nodes: ['web01', 'web02', 'web03'],
          groups: ['db'],
          labels: { role: 'web', env: 'prod' },
          exclude: ['db02'],
          allowEmpty: true,
        },
        params: { lines: 50, unit: '7', extra: { a: [1] } },
        requestId: 'INC-1/2',
        reason: 'INC-1',
        timeout: { seconds: 90, nanos: 0 },
        dryRun: true,
        transport: 'ssh',
        rollout: { batchSize: '25%', maxParallel: 7, maxFailures: '3', canary: true },
        acknowledgeRisk: true,
        cancelOnDisconnect: true,
        onLocked: 2,
        queueTimeout: { seconds: 5, nanos: 0 },
        maxRetries: 3,
        retryDelay: { seconds: 0, nanos: 500_000_000 },
      });
    });

    it('takes what flags leave out from the context in use', async () => {
      const lom = await lomOf(() => ({ run: () => play(...threeNodes()) }));
      const home = await mkdtemp(join(tmpdir(), 'rune-home-'));
      try {
        await mkdir(join(home, 'rune'));
        const config = `current_context: a\ncontexts:\n  a:\n    server: ${lom.address}\n    defaults: { output: json, reason: on call, timeout: 5s }\n`;
        await writeFile(join(home, 'rune', 'config.yaml'), config);
        const { out } = await rune(['run', 'tail-log', '--node', 'web01'], {
          env: { XDG_CONFIG_HOME: home },
        });
        assert.equal(JSON.parse(out).state, 'EXECUTION_STATE_PARTIAL');
        assert.equal(lom.runs[0]?.reason, 'on call');
        assert.deepEqual(lom.runs[0]?.timeout, { seconds: 5, nanos: 0 });
      } finally {
        await rm(home, { recursive: true });
      }
    });

    it('a refused request ends with 4, says what to do, and is one JSON document too', async () => {
      const refuse = () => {
        throw new RuneError('NODE_NOT_FOUND', 'There is no node "web01".', { node: 'web01' });
      };
      const lom = await lomOf(() => ({ run: refuse }));
      const pretty = await run(lom);
      assert.equal(pretty.code, 4);
      assert.equal(pretty.out, '');
      assert.match(
        pretty.err,
        /^rune: NODE_NOT_FOUND: There is no node "web01"\.\n {2}what to do:\n {4}- List the nodes: rune nodes/,
      );
      const json = await run(lom, '-o', 'json');
      assert.equal(json.code, 4);
      const { error } = JSON.parse(json.out);
      assert.equal(error.errorData.name, 'NODE_NOT_FOUND');
      // The service's own error, not one that was made again here.
      assert.equal(error.routing.sourceModule, 'scripted-lom');
      assert.match(error.messageMetadata.correlationId, /^[0-9a-f-]{36}$/);
    });

    it('a service that is not there ends with 5', async () => {
      const { code, err } = await rune(['run', 'tail-log', '--node', 'web01', '--server', '127.0.0.1:1']);
      assert.equal(code, 5);
      assert.match(err, /^rune: SERVICE_UNREACHABLE: /);
    });

    it('a stream that ends before its execution ends with 3, also in JSON', async () => {
      const events = createEvents();
      const script: Script = () => ({
        async *run() {
          yield* [events.accepted(2), events.running('web01'), events.succeeded('web01')];
          throw new RuneError('SERVICE_SHUTTING_DOWN', 'This service is shutting down.');
        },
        watchExecution() {
          throw new RuneError('SERVICE_SHUTTING_DOWN', 'This service is shutting down.');
        },
      });
      const pretty = await run(await lomOf(script), '--resume-for', '200ms');
      assert.equal(pretty.code, 3);
      assert.match(pretty.err, /1 succeeded, 1 not known to have ended/);
      assert.match(
        pretty.err,
        new RegExp(`to go on: rune executions watch ${EXECUTION_ID} --from-seq 4$`, 'm'),
      );
      const json = await run(await lomOf(script), '-o', 'json', '--resume-for', '200ms');
      const document = JSON.parse(json.out);
      assert.equal(json.code, 3);
      assert.equal(document.runs.length, 1);
      assert.equal(document.error.errorData.name, 'SERVICE_SHUTTING_DOWN');
    });

    it('wrong usage ends with 2 and sends nothing', async () => {
      const lom = await lomOf(() => ({ run: () => play(...threeNodes()) }));
      for (const wrong of [
        ['--timeout', '30'],
        ['--param', 'x'],
        ['--param', 'lines=many'],
        ['--no-such-flag'],
        ['--params-file', '/nonexistent/p'],
        ['--save', '/dev/null/x'],
        ['-o', 'xml'],
        ['--use-ssm', '--transport', 'ssh'],
      ]) {
        const { code, err } = await run(lom, ...wrong);
        assert.equal(code, 2, `${wrong.join(' ')}: ${err}`);
        assert.ok(err.includes(wrong[0] ?? ''), err);
      }
      assert.equal(lom.runs.length, 0);
    });

    it('--plan asks for a plan and runs nothing', async () => {
      const plan = PlanExecutionResponse.fromPartial({
        action: 'tail-log',
        version: '1.2.0',
        digest: 'ab'.repeat(32),
        risk: 1,
        timeout: { seconds: 30, nanos: 0 },
        killGrace: { seconds: 5, nanos: 0 },
        connectTimeout: { seconds: 10, nanos: 0 },
        maxParallel: 50,
        runs: [
          {
            node: 'web01',
            transport: 'ssh',
            address: '192.0.2.1',
            port: 22,
            user: 'ops',
            mediator: '127.0.0.1:50052',
          },
        ],
      });
      const lom = await lomOf(() => ({ planExecution: async () => plan }));
      const { code, out } = await run(lom, '--plan');
      assert.equal(code, 0);
      assert.equal(
        out,
        'tail-log 1.2.0 (digest abababababab, read only) would run on 1 node\n' +
          'timeout 30 s, kill grace 5.0 s, connect timeout 10 s, at most 50 at once\n' +
          'NODE   TRANSPORT  ADDRESS       USER  MEDIATOR\n' +
          'web01  ssh        192.0.2.1:22  ops   127.0.0.1:50052\n',
      );
      assert.equal(lom.runs.length, 0);
    });

    it('a reader that goes away (head -1) ends it quietly', async () => {
      const events = createEvents();
      const lom = await lomOf(() => ({
        async *run(_request, { signal }) {
          yield events.accepted(1_000_000);
          for (let node = 0; !signal.aborted; node += 1) yield events.succeeded(`node${node}`, { node });
        },
      }));
      const process = start(['run', 'tail-log', '--node', 'web01', '--server', lom.address, '-o', 'ndjson']);
      await once(process.child.stdout!, 'data');
      process.child.stdout!.destroy();
      assert.equal(await process.exited, 3);
      assert.equal(process.err(), '');
    });
  });

  describe('hostile nodes', () => {
    it('cannot act on the terminal, forge lines, or break the machine formats', async () => {
      const events = createEvents();
      const evil = '\x1b]0;pwned\x07\x1b[2J\u009b1m\u202e';
      const hostile = () => [
        events.accepted(2),
        events.running('web01'),
        events.log('web01', `${evil}\rweb02  succeeded`),
        events.rawLog('web01', Buffer.from([0xff, 0x1b, 0x5b])),
        events.progress('web01', 50, evil),
        events.succeeded('web01', { [evil]: evil, rows: [{ a: evil }] }),
        events.outcome('web02', {
          state: RunState.FAILED,
          error: {
            ...failure('PLUGIN_CRASHED', evil, 'web02'),
            errorData: {
              ...failure('PLUGIN_CRASHED', evil, 'web02').errorData!,
              data: {
                ...failure('PLUGIN_CRASHED', evil, 'web02').errorData!.data!,
                stderrTail: evil,
                evidence: evil,
                signal: evil,
                pluginDetailsJson: JSON.stringify({ evil }),
                validationErrors: [{ field: evil, description: evil, reason: '' }],
              },
            },
          },
        }),
        events.final(ExecutionState.PARTIAL),
      ];
      for (const format of ['pretty', 'json', 'ndjson']) {
        const { out, err } = await run(await lomOf(() => ({ run: () => play(...hostile()) })), '-o', format);
        assert.match(out + err, /^[\n -~]*$/, format);
        if (format === 'json') assert.deepEqual(Object.keys(JSON.parse(out).runs[0].result.output)[0], evil);
      }
    });
  });

  describe('an interrupt', () => {
    /** An execution that ends only when it is cancelled. */
    const untilCancelled: Script = (cancelled) => ({
      async *run() {
        const events = createEvents();
        yield events.accepted(2);
        yield events.running('web01');
        yield events.running('web02');
        await cancelled;
        yield events.state(ExecutionState.CANCELLING);
        const startedAt = new Date();
        yield events.outcome('web01', {
          state: RunState.CANCELLED,
          startedAt,
          cancelConfirmed: true,
          error: failure('RUN_CANCELLED', 'Cancelled.', 'web01'),
        });
        yield events.outcome('web02', {
          state: RunState.CANCELLED,
          startedAt,
          cancelConfirmed: false,
          error: failure('RUN_CANCELLED', 'Cancelled.', 'web02'),
        });
        yield events.final(ExecutionState.CANCELLED, { CANCELLED: 2 });
      },
    });

    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      it(`${signal} cancels the execution, waits, and says for each node whether the kill was confirmed`, async () => {
        const lom = await lomOf(untilCancelled);
        const process = start(['run', 'tail-log', '--node', 'web01', '--server', lom.address]);
        await process.says('execution 0199aaaa');
        process.child.kill(signal);
        assert.equal(await process.exited, 130);
        assert.equal(lom.cancels[0]?.executionId, EXECUTION_ID);
        assert.match(
          process.err(),
          /cancelling, waiting for the nodes to confirm; press again to leave at once/,
        );
        assert.match(
          process.err(),
          /web01 {2}cancelled.*\n {2}kill confirmed: nothing of it is left on the node/,
        );
        assert.match(process.err(), /web02 {2}cancelled.*\n {2}kill NOT confirmed: look on web02/);
        assert.match(process.err(), /2 cancelled in /);
      });
    }

    it('a second one leaves at once with 3 and names the execution that may go on', async () => {
      const lom = await lomOf(() => ({
        run: untilCancelled(new Promise(() => undefined)).run!,
        cancelExecution: () => new Promise(() => undefined),
      }));
      const process = start(['run', 'tail-log', '--node', 'web01', '--server', lom.address, '-o', 'json']);
      // The document is opened with the first event.
      await process.says('"executionId"');
      process.child.kill('SIGINT');
      await process.says('cancelling');
      process.child.kill('SIGINT');
      assert.equal(await process.exited, 3);
      assert.match(process.err(), new RegExp(`execution ${EXECUTION_ID} may still be running`));
      assert.equal(JSON.parse(process.out()).state, 'EXECUTION_STATE_UNSPECIFIED');
    });

    it('before the execution is accepted cancels it as soon as it is', async () => {
      let accept: () => void = () => undefined;
      const accepting = new Promise<void>((resolve) => (accept = resolve));
      let asked: () => void = () => undefined;
      const request = new Promise<void>((resolve) => (asked = resolve));
      const lom = await lomOf((cancelled) => ({
        async *run(...call) {
          asked();
          await accepting;
          yield* untilCancelled(cancelled).run!(...call);
        },
      }));
      const process = start(['run', 'tail-log', '--node', 'web01', '--server', lom.address]);
      await request;
      process.child.kill('SIGINT');
      await process.says('cancelling');
      accept();
      assert.equal(await process.exited, 130);
      assert.equal(lom.cancels.length, 1);
    });

    it('ends what hangs before the run', async () => {
      const lom = await lomOf(untilCancelled);
      const home = await mkdtemp(join(tmpdir(), 'rune-home-'));
      try {
        // Opening a pipe that nobody writes to never returns.
        await mkdir(join(home, 'rune'));
        const pipe = join(home, 'rune', 'config.yaml');
        execFileSync('mkfifo', [pipe]);
        const hook = join(home, 'hook.cjs');
        await writeFile(hook, SAYS_READY);
        const process = start(['run', 'tail-log', '--node', 'web01', '--server', lom.address], {
          env: { XDG_CONFIG_HOME: home, NODE_OPTIONS: `--require ${hook}` },
        });
        await process.says('ready');
        process.child.kill('SIGTERM');
        // Which a shell shows as 130; an exit would wait for the call that hangs.
        assert.equal(await process.exited, 'SIGINT');
        assert.match(process.err(), /Interrupted: nothing ran\./);
        assert.equal(lom.runs.length, 0);
      } finally {
        await rm(home, { recursive: true });
      }
    });

    it('that does not reach the service is told', async () => {
      const refuse = async () => {
        throw new RuneError('EXECUTION_NOT_FOUND', 'There is no such execution.');
      };
      const lom = await lomOf(() => ({
        run: untilCancelled(new Promise(() => undefined)).run!,
        cancelExecution: refuse,
      }));
      const process = start(['run', 'tail-log', '--node', 'web01', '--server', lom.address]);
      await process.says('execution 0199aaaa');
      process.child.kill('SIGINT');
      await process.says('the cancel did not reach the service (There is no such execution.)');
    });
  });

  describe('an action that can destroy data', () => {
    const destructive = (): Script => () => ({
      async *run(request) {
        if (!request.acknowledgeRisk)
          throw new RuneError('RISK_NOT_ACKNOWLEDGED', 'tail-log can destroy data.', { action: 'tail-log' });
        yield* threeNodes();
      },
      planExecution: async () =>
        PlanExecutionResponse.fromPartial({
          action: 'tail-log',
          version: '1.2.0',
          risk: 4,
          runs: [{ node: 'web01' }, { node: 'web02' }],
        }),
    });

    it('is refused without --yes where nobody can be asked', async () => {
      const { code, err } = await run(await lomOf(destructive()));
      assert.equal(code, 4);
      assert.match(err, /RISK_NOT_ACKNOWLEDGED.*\n.*\n.*--yes/);
    });

    it('runs with --yes', async () => {
      assert.equal((await run(await lomOf(destructive()), '--yes')).code, 6);
    });

    const onTerminal = (lom: ScriptedLom) => {
      const process = spawnRuneOnTerminal(['run', 'tail-log', '--group', 'web', '--server', lom.address]);
      processes.push(process);
      return process;
    };

    it('asks on a terminal, naming action and nodes, and runs exactly those after "yes"', async () => {
      const lom = await lomOf(destructive());
      const process = onTerminal(lom);
      await process.says('tail-log 1.2.0 can destroy data. It will run on 2 nodes: web01, web02.');
      process.child.stdin!.write('yes\n');
      assert.equal(await process.exited, 6);
      assert.equal(lom.runs[1]?.action, 'tail-log@1.2.0');
      assert.deepEqual(lom.runs[1]?.targets?.nodes, ['web01', 'web02']);
      assert.deepEqual(lom.runs[1]?.targets?.groups, []);
    });

    it('does not run after any other answer', async () => {
      const lom = await lomOf(destructive());
      const process = onTerminal(lom);
      await process.says('Type yes to run it');
      process.child.stdin!.write('y\n');
      assert.equal(await process.exited, 4);
      assert.equal(lom.runs.length, 1);
    });

    it('does not run after Ctrl-C at the question', async () => {
      const lom = await lomOf(destructive());
      const process = onTerminal(lom);
      await process.says('Type yes to run it');
      process.child.stdin!.write('\x03');
      assert.equal(await process.exited, 130);
      assert.equal(lom.runs.length, 1);
    });
  });

  describe('on a terminal', () => {
    it('redraws one line a node in place, in colour', async () => {
      let finish: () => void = () => undefined;
      const finishing = new Promise<void>((resolve) => (finish = resolve));
      const lom = await lomOf(() => ({
        async *run() {
          const events = createEvents();
          yield events.accepted(2);
          yield events.running('web01');
          yield events.progress('web01', 40, 'pulling');
          await finishing;
          yield events.succeeded('web01', { ok: true });
          yield events.succeeded('web02', { ok: true });
          yield events.final(ExecutionState.SUCCEEDED);
        },
      }));
      const process = spawnRuneOnTerminal(['run', 'tail-log', '--group', 'web', '--server', lom.address]);
      processes.push(process);
      await process.says('40 % pulling');
      finish();
      assert.equal(await process.exited, 0);
      assert.match(process.out(), /\x1b\[2mweb01 {2}running .*40 % pulling/);
      assert.match(process.out(), /0 of 2 done/);
      assert.match(process.out(), /\x1b\[32msucceeded/);
      // What is drawn last is not the region: it was taken away.
      assert.match(process.out().trimEnd(), /2 succeeded\S* in [^\n]*$/);
    });

    it('is plain where NO_COLOR is set', async () => {
      const lom = await lomOf(() => ({ run: () => play(...threeNodes()) }));
      const process = spawnRuneOnTerminal(['run', 'tail-log', '--group', 'web', '--server', lom.address], {
        env: { NO_COLOR: '1' },
      });
      processes.push(process);
      assert.equal(await process.exited, 6);
      assert.doesNotMatch(process.out(), /\x1b\[\d*m/);
    });
  });

  describe('--save', () => {
    let directory: string;
    beforeEach(async () => {
      directory = await mkdtemp(join(tmpdir(), 'rune-save-'));
    });
    afterEach(() => rm(directory, { recursive: true, force: true }));
    const mode = async (...path: string[]) =>
      ((await lstat(join(directory, ...path))).mode & 0o777).toString(8);

    it('writes result, log and outcome of each node, for nobody else to read', async () => {
      const lom = await lomOf(() => ({ run: () => play(...threeNodes()) }));
      await run(lom, '--save', join(directory, 'deep', 'er'));
      const at = (...path: string[]) => readFile(join(directory, 'deep', 'er', ...path), 'utf8');
      assert.equal(await at('web01', 'result.json'), '{"lines":["a","b"],"unit":"nginx"}');
      assert.equal(await at('web01', 'stderr.log'), 'reading the journal\n');
      assert.equal(JSON.parse(await at('web02', 'outcome.json')).error.errorData.name, 'NODE_UNREACHABLE');
      await assert.rejects(at('web02', 'result.json'), { code: 'ENOENT' });
      assert.equal(await mode('deep', 'er', 'web01', 'result.json'), '600');
      assert.equal(await mode('deep', 'er', 'web01'), '700');
      assert.equal(await mode('deep'), '700');
    });

    it('replaces what an earlier execution left, and follows no link', async () => {
      const outside = join(directory, 'outside');
      await writeFile(outside, 'untouched');
      await mkdir(join(directory, 'web01'));
      await mkdir(join(directory, 'web02'));
      await symlink(outside, join(directory, 'web01', 'result.json'));
      await symlink(outside, join(directory, 'web01', 'result.json.new'));
      await symlink(outside, join(directory, 'web01', 'stderr.log'));
      await writeFile(join(directory, 'web02', 'result.json'), 'stale');
      const lom = await lomOf(() => ({ run: () => play(...threeNodes()) }));
      await run(lom, '--save', directory);
      assert.equal(await readFile(outside, 'utf8'), 'untouched');
      assert.match(await readFile(join(directory, 'web01', 'result.json'), 'utf8'), /nginx/);
      await assert.rejects(readFile(join(directory, 'web02', 'result.json')), { code: 'ENOENT' });
    });

    it('refuses what is no directory before anything runs, and does not hang on procfs', async () => {
      const file = join(directory, 'file');
      await writeFile(file, '');
      const lom = await lomOf(() => ({ run: () => play(...threeNodes()) }));
      for (const [path, message] of [
        [file, `--save ${file}: ${file} is not a directory.`],
        [join(file, 'deeper'), 'is not a directory'],
        ['/proc/nope/deeper', 'no such file'],
      ] as const) {
        const { code, err } = await run(lom, '--save', path);
        assert.equal(code, 2);
        assert.ok(err.includes(message), err);
      }
      assert.equal(lom.runs.length, 0);
    });

    it('tells of a node once', async () => {
      await writeFile(join(directory, 'web01'), '');
      const events = createEvents();
      const lom = await lomOf(() => ({
        run: () =>
          play(
            events.accepted(1),
            events.running('web01'),
            events.log('web01', 'one'),
            events.succeeded('web01'),
            events.final(ExecutionState.SUCCEEDED),
          ),
      }));
      const { err } = await run(lom, '--save', directory);
      assert.equal(err.match(/not saved/g)?.length, 1);
    });

    it('writes no result that the service has not kept, says so, and ends with 1', async () => {
      const events = createEvents();
      const result = Result.fromPartial({ notKeptBytes: 3_000_000 });
      const lom = await lomOf(() => ({
        run: () =>
          play(
            events.accepted(1),
            events.outcome('web01', { state: RunState.SUCCEEDED, result }),
            events.final(ExecutionState.SUCCEEDED),
          ),
      }));
      const { code, err } = await run(lom, '--save', directory);
      assert.equal(code, 1);
      assert.match(err, /not saved for node web01: the service has not kept its result/);
      await assert.rejects(lstat(join(directory, 'web01', 'result.json')), { code: 'ENOENT' });
      const kept = JSON.parse(await readFile(join(directory, 'web01', 'outcome.json'), 'utf8'));
      assert.equal(kept.result.notKeptBytes, 3_000_000);
    });

    it('refuses a directory that is a link and names that are no names, and ends with 1', async () => {
      const outside = join(directory, 'outside');
      await mkdir(outside);
      await symlink(outside, join(directory, 'web01'));
      const events = createEvents();
      const lom = await lomOf(() => ({
        run: () =>
          play(
            events.accepted(2),
            events.succeeded('web01'),
            events.succeeded('../evil'),
            events.final(ExecutionState.SUCCEEDED),
          ),
      }));
      const { code, err } = await run(lom, '--save', directory);
      assert.equal(code, 1);
      assert.match(err, /not saved for node web01: .*\/web01 is not a directory/);
      assert.match(err, /not saved for node \.\.\/evil: .*not safe/);
      await assert.rejects(lstat(join(outside, 'result.json')), { code: 'ENOENT' });
    });
  });

  describe('bytes in a result', () => {
    const archive = Buffer.from('x'.repeat(12_595));
    const outputSchema = JSON.stringify({
      properties: {
        archive: { type: 'string', contentEncoding: 'base64', contentMediaType: 'application/gzip' },
      },
    });
    let directory: string;
    let asked: number;
    beforeEach(async () => {
      directory = await mkdtemp(join(tmpdir(), 'rune-save-'));
      asked = 0;
    });
    afterEach(() => rm(directory, { recursive: true, force: true }));

    /** A LOM where each node answers with this as its archive. */
    const answering = (archives: Readonly<Record<string, string>>, schema = outputSchema) => {
      const events = createEvents();
      return lomOf(() => ({
        getAction: async () => {
          asked += 1;
          if (schema === '') throw new RuneError('ACTION_NOT_FOUND', 'There is no such action.');
          return GetActionResponse.fromPartial({ action: { ...TAIL_LOG, outputSchema: schema } });
        },
        run: () =>
          play(
            events.accepted(Object.keys(archives).length),
            ...Object.entries(archives).flatMap(([node, text]) => [
              events.running(node),
              events.succeeded(node, { unit: 'nginx', archive: text }),
            ]),
            events.final(ExecutionState.SUCCEEDED, { SUCCEEDED: 1 }),
          ),
      }));
    };

    it('are shown as their size', async () => {
      const lom = await answering({ web01: archive.toString('base64') });
      const { code, out } = await run(lom);
      assert.equal(code, 0);
      assert.equal(out, 'unit:    nginx\narchive: 12.3 KiB, base64; --save DIR keeps it\n');
    });

    it('are files of their own by --save, for nobody else to read; the schema is asked for once', async () => {
      await mkdir(join(directory, 'web01'));
      const outside = join(directory, 'outside');
      await writeFile(outside, 'untouched');
      await symlink(outside, join(directory, 'web01', 'result.archive.gz'));
      await symlink(outside, join(directory, 'web01', 'result.archive.gz.new'));
      const lom = await answering({ web01: archive.toString('base64'), web02: 'AAAA' });
      const { code, out, err } = await run(lom, '--save', directory);
      assert.equal(code, 0, err);
      assert.match(out, /12\.3 KiB, base64\n/);
      assert.deepEqual(await readFile(join(directory, 'web01', 'result.archive.gz')), archive);
      assert.deepEqual(await readFile(join(directory, 'web02', 'result.archive.gz')), Buffer.alloc(3));
      assert.equal(await readFile(outside, 'utf8'), 'untouched');
      assert.equal((await lstat(join(directory, 'web01', 'result.archive.gz'))).mode & 0o777, 0o600);
      assert.equal(asked, 1);
    });

    it('of an earlier execution go when the next begins, and other files stay', async () => {
      await mkdir(join(directory, 'web01'));
      for (const name of ['result.old.gz', 'notes.txt', 'result.sh']) {
        await writeFile(join(directory, 'web01', name), '');
      }
      await run(await answering({ web01: 'AAAA' }), '--save', directory);
      assert.deepEqual((await readdir(join(directory, 'web01'))).toSorted(), [
        'notes.txt',
        'outcome.json',
        'result.archive.gz',
        'result.json',
        'result.sh',
      ]);
    });

    it('that are no base64 stay in result.json, are told, and end with 1', async () => {
      const hostile = '../'.repeat(1000);
      const { code, out, err } = await run(await answering({ web01: hostile }), '--save', directory);
      assert.equal(code, 1);
      assert.match(
        err,
        /^not saved for node web01: archive, 2\.9 KiB, is not valid base64; result\.json has it as it came$/m,
      );
      assert.match(out, /archive: 2\.9 KiB, not valid base64; --output json shows it\n/);
      assert.equal(
        JSON.parse(await readFile(join(directory, 'web01', 'result.json'), 'utf8')).archive,
        hostile,
      );
      assert.deepEqual((await readdir(join(directory, 'web01'))).toSorted(), ['outcome.json', 'result.json']);
    });

    for (const [what, schema, reason] of [
      ['cannot be asked for', '', 'There is no such action'],
      ['is not JSON', '{', 'it is not JSON'],
    ] as const) {
      it(`stay text where the output schema ${what}, and the execution goes on`, async () => {
        const text = archive.toString('base64');
        const { code, out, err } = await run(await answering({ web01: text }, schema), '--save', directory);
        assert.equal(code, 0);
        assert.ok(out.includes(text));
        assert.equal(err.match(/the output schema of tail-log could not be read/g)?.length, 1);
        assert.ok(err.includes(reason), err);
        assert.deepEqual((await readdir(join(directory, 'web01'))).toSorted(), [
          'outcome.json',
          'result.json',
        ]);
      });
    }

    it('are as they came for programs, and nobody asks for the schema', async () => {
      const text = archive.toString('base64');
      const lom = await answering({ web01: text });
      const { out } = await run(lom, '-o', 'json');
      assert.equal(JSON.parse(out).runs[0].result.output.archive, text);
      assert.equal(asked, 0);
    });

    it('are not looked for in a result without long text', async () => {
      const { out } = await run(await answering({ web01: 'AAAA' }));
      assert.match(out, /archive: AAAA/);
      assert.equal(asked, 0);
    });
  });

  describe('many nodes', () => {
    it('are counted and their failures gathered by kind', async () => {
      const events = createEvents();
      const nodes = Array.from({ length: 300 }, (_, at) => `node${String(at).padStart(3, '0')}`);
      const lom = await lomOf(() => ({
        run: () =>
          play(
            events.accepted(nodes.length),
            ...nodes.map((node, at) =>
              at % 2 === 0
                ? events.succeeded(node, { at })
                : events.failed(node, 'NODE_UNREACHABLE', `${node} is down.`),
            ),
            events.final(ExecutionState.PARTIAL),
          ),
      }));
      const { code, err } = await run(lom);
      assert.equal(code, 6);
      assert.match(
        err,
        /^NODE_UNREACHABLE {2}150 nodes: node001, node003, .*node019 and 140 more\n {2}- Nothing ran\. Check that the node is up/m,
      );
      assert.match(err, /^150 succeeded, 150 failed in /m);
      assert.equal(err.match(/what to do/g)?.length, 10);
    });
  });

  describe('the catalogue', () => {
    it('rune actions lists all pages', async () => {
      const lom = await lomOf(() => ({
        listActions: async ({ pageToken }) =>
          ListActionsResponse.fromPartial(
            pageToken === ''
              ? { actions: [TAIL_LOG], nextPageToken: 'more' }
              : { actions: [{ ...TAIL_LOG, action: 'uptime' }] },
          ),
      }));
      const pretty = await rune(['actions', '--server', lom.address]);
      assert.equal(pretty.code, 0);
      assert.equal(
        pretty.out,
        'ACTION    VERSION  RISK       DESCRIPTION\ntail-log  1.2.0    read only  The last lines of a unit.\nuptime    1.2.0    read only  The last lines of a unit.\n',
      );
      const json = await rune(['actions', 'list', '-o', 'json', '--server', lom.address]);
      assert.deepEqual(
        JSON.parse(json.out).actions.map(({ action }: { action: string }) => action),
        ['tail-log', 'uptime'],
      );
      const ndjson = await rune(['actions', '-o', 'ndjson', '--server', lom.address]);
      assert.equal(ndjson.out.trimEnd().split('\n').length, 2);
    });

    it('rune actions show explains an action with a command to copy', async () => {
      const lom = await lomOf(() => ({}));
      const { code, out } = await rune(['actions', 'show', 'tail-log', '--server', lom.address]);
      assert.equal(code, 0);
      assert.match(out, /^tail-log 1\.2\.0: The last lines of a unit\.$/m);
      assert.match(out, /^ {2}unit +string +required$/m);
      assert.match(out, /^ {2}password +string +secret$/m);
      assert.match(out, /^ {2}rune run tail-log --node NODE --param unit=nginx --param lines:=10$/m);
    });

    it('rune nodes lists and shows nodes', async () => {
      const lom = await lomOf(() => ({}));
      const list = await rune(['nodes', '--server', lom.address]);
      assert.match(list.out, /^NODE +TRANSPORTS +ADDRESS +USER +GROUPS +LABELS +MAINTENANCE$/m);
      assert.match(list.out, /^web01 +ssh +192\.0\.2\.1:22 +ops +web +role=web$/m);
      const show = await rune(['nodes', 'show', 'web01', '--server', lom.address]);
      assert.match(show.out, /^web01\n {2}address: +192\.0\.2\.1:22$/m);
    });

    it('rune nodes show --probe ends with 6 where the node cannot be reached', async () => {
      const lom = await lomOf(() => ({
        getNode: async ({ probe }) =>
          GetNodeResponse.fromPartial({
            probe: probe
              ? {
                  hostKeyFingerprint: 'SHA256:abc',
                  hostKeyType: 'ssh-ed25519',
                  error: failure('HOST_KEY_CHANGED', 'Another key.', 'web01'),
                }
              : undefined,
          }),
      }));
      const { code, out } = await rune(['nodes', 'show', 'web01', '--probe', '--server', lom.address]);
      assert.equal(code, 6);
      assert.match(out, /host key: ssh-ed25519 SHA256:abc \(REFUSED\)/);
      assert.match(out, /HOST_KEY_CHANGED: Another key\./);
    });
  });

  describe('nodes trust', () => {
    let directory: string;
    before(async () => {
      directory = await mkdtemp(join(tmpdir(), 'rune-trust-'));
    });
    after(() => rm(directory, { recursive: true }));

    const presenting = (hostKeys: Partial<HostKey>[], error?: EpsError) => () => ({
      getNode: async () =>
        GetNodeResponse.fromPartial({
          node: { ...WEB01, hostKeyFingerprints: ['SHA256:old'] },
          probe: { hostKeys, knownHostsName: '[192.0.2.1]:2222', mediator: '127.0.0.1:50052', error },
        }),
    });
    const TWO = [
      { type: 'ssh-ed25519', fingerprint: 'SHA256:abc', publicKey: 'AAAAabc', accepted: true },
      { type: 'ssh-rsa', fingerprint: 'SHA256:def', publicKey: 'AAAAdef' },
    ];
    const inventory = async (): Promise<string> => {
      const file = join(directory, 'inventory.yaml');
      await writeFile(file, 'nodes:\n  web01: {user: ops} # ours\n', { mode: 0o640 });
      return file;
    };

    it('shows the keys, what was pinned before, and writes nothing unless it is told where', async () => {
      const lom = await lomOf(presenting(TWO));
      const { code, out, err } = await rune(['nodes', 'trust', 'web01', '--yes', '--server', lom.address]);
      assert.equal(code, 0);
      assert.equal(out, '');
      assert.match(
        err,
        /^web01 \(\[192\.0\.2\.1\]:2222, asked by the mediator 127\.0\.0\.1:50052\) presents:$/m,
      );
      assert.match(err, /^ {2}ssh-ed25519 +SHA256:abc +accepted already$/m);
      assert.match(err, /^ {2}ssh-rsa +SHA256:def +not accepted yet$/m);
      assert.match(err, /^ {2}pinned until now and not presented: SHA256:old$/m);
      assert.match(err, /^Nothing was written: name --inventory FILE/m);
    });

    it('--inventory pins them and says where; mode and comments of the file stay', async () => {
      const lom = await lomOf(presenting(TWO));
      const file = await inventory();
      const args = ['nodes', 'trust', 'web01', '--inventory', file, '--server', lom.address];
      const { code, out } = await rune([...args, '--yes']);
      assert.equal(code, 0);
      assert.equal(out, `${file}:2 pins 2 host keys of web01.\n`);
      assert.equal(
        await readFile(file, 'utf8'),
        'nodes:\n  web01: { host_key_fingerprints: [SHA256:abc, SHA256:def],user: ops} # ours\n',
      );
      assert.equal((await lstat(file)).mode & 0o777, 0o640);
      const json = JSON.parse((await rune([...args, '--yes', '-o', 'json'])).out);
      assert.deepEqual([json.inventory, json.line, json.hostKeys.length], [file, 2, 2]);
    });

    it('--known-hosts prints lines and nothing else on standard output', async () => {
      const lom = await lomOf(presenting(TWO));
      const { out } = await rune(['nodes', 'trust', 'web01', '--known-hosts', '-y', '--server', lom.address]);
      assert.equal(out, '[192.0.2.1]:2222 ssh-ed25519 AAAAabc\n[192.0.2.1]:2222 ssh-rsa AAAAdef\n');
    });

    it('asks on a terminal, and writes after "yes" only', async () => {
      const lom = await lomOf(presenting(TWO));
      const file = await inventory();
      const before = await readFile(file, 'utf8');
      for (const [answer, code] of [
        ['no', 4],
        ['yes', 0],
      ] as const) {
        assert.equal(await readFile(file, 'utf8'), before);
        const process = spawnRuneOnTerminal([
          'nodes',
          'trust',
          'web01',
          '--inventory',
          file,
          '--server',
          lom.address,
        ]);
        processes.push(process);
        await process.says('Type yes to pin these keys in');
        process.child.stdin!.write(`${answer}\n`);
        assert.equal(await process.exited, code);
      }
      assert.notEqual(await readFile(file, 'utf8'), before);
    });

    it('writes nothing without --yes where nobody can be asked', async () => {
      const lom = await lomOf(presenting(TWO));
      const file = await inventory();
      const before = await readFile(file, 'utf8');
      const { code, err } = await rune([
        'nodes',
        'trust',
        'web01',
        '--inventory',
        file,
        '--server',
        lom.address,
      ]);
      assert.equal(code, 2);
      assert.match(err, /Nobody can be asked here: compare the keys, then add --yes\./);
      assert.equal(await readFile(file, 'utf8'), before);
    });

    it('leaves revoked keys out, and refuses where all are', async () => {
      const revoked = { ...TWO[1], revoked: true };
      const some = await lomOf(presenting([TWO[0]!, revoked]));
      const { out, err } = await rune([
        'nodes',
        'trust',
        'web01',
        '--known-hosts',
        '-y',
        '--server',
        some.address,
      ]);
      assert.equal(out, '[192.0.2.1]:2222 ssh-ed25519 AAAAabc\n');
      assert.match(err, /SHA256:def +REVOKED, and left out/);
      const all = await lomOf(presenting([revoked]));
      const none = await rune(['nodes', 'trust', 'web01', '--known-hosts', '-y', '--server', all.address]);
      assert.deepEqual([none.code, none.out], [6, '']);
      assert.match(none.err, /Every host key of web01 is revoked/);
    });

    it('ends with 6 where the node shows no key', async () => {
      const lom = await lomOf(presenting([], failure('NODE_UNREACHABLE', 'web01 is away.', 'web01')));
      const { code, err } = await rune(['nodes', 'trust', 'web01', '-y', '--server', lom.address]);
      assert.equal(code, 6);
      assert.match(err, /NODE_UNREACHABLE: web01 is away\./);
    });
  });

  describe('doctor', () => {
    it('checks service, health, actions, nodes and each named node', async () => {
      const lom = await lomOf(() => ({
        getNode: async ({ name }) =>
          GetNodeResponse.fromPartial({
            probe:
              name === 'web01'
                ? { authenticated: true, hostKeyFingerprint: 'SHA256:abc', hostKeyAccepted: true }
                : { error: failure('NODE_CONNECT_TIMEOUT', 'No answer in 10 s.', name) },
          }),
      }));
      const { code, out } = await rune(['doctor', '--node', 'web01,web02', '--server', lom.address]);
      assert.equal(code, 6);
      assert.match(out, /^\[ ok \] rune +version \d+\.\d+\.\d+/m);
      assert.match(out, /^\[ ok \] service +LOM answers on 127\.0\.0\.1:\d+/m);
      assert.match(out, /^\[ ok \] health +SERVING$/m);
      assert.match(out, /^\[ ok \] actions +1 action loaded$/m);
      assert.match(out, /^\[ ok \] nodes +1 node loaded$/m);
      assert.match(out, /^\[ ok \] node web01 +can be reached/m);
      assert.match(out, /^\[FAIL\] node web02 +NODE_CONNECT_TIMEOUT: No answer in 10 s\.$/m);
    });

    it('says that nothing else could be tried where the service does not answer, and ends with 5', async () => {
      const { code, out } = await rune(['doctor', '--node', 'web01', '--server', '127.0.0.1:1']);
      assert.equal(code, 5);
      assert.match(out, /^\[FAIL\] service +SERVICE_UNREACHABLE/m);
      assert.match(out, /^\[skip\] node web01 +not tried/m);
    });

    it('has a form for machines', async () => {
      const lom = await lomOf(() => ({}));
      const { out } = await rune(['doctor', '-o', 'json', '--server', lom.address]);
      assert.deepEqual(
        JSON.parse(out).checks.map(({ name, state }: { name: string; state: string }) => `${name} ${state}`),
        ['rune ok', 'service ok', 'health ok', 'actions ok', 'nodes ok', 'mediators warn'],
      );
    });

    it('fails where a mediator does not answer, and says where to start it', async () => {
      const probed: string[] = [];
      const lom = await lomOf(() => ({
        planExecution: async () =>
          PlanExecutionResponse.fromPartial({
            runs: [
              { node: 'web01', mediator: '192.0.2.9:50052' },
              { node: 'web02', mediator: '192.0.2.9:50052' },
              { node: 'web03', mediator: '192.0.2.10:50052' },
            ],
          }),
        getNode: async ({ name }) => {
          probed.push(name);
          const error =
            name === 'web01'
              ? failure('MEDIATOR_UNAVAILABLE', 'No mediator of web01 answers.', name)
              : failure('NODE_UNREACHABLE', 'web03 is down.', name);
          return GetNodeResponse.fromPartial({ probe: { error } });
        },
      }));
      const { code, out } = await rune(['doctor', '--server', lom.address]);
      assert.equal(code, 5);
      assert.deepEqual(probed.toSorted(), ['web01', 'web03']);
      assert.match(out, /^\[FAIL\] mediator 192\.0\.2\.9:50052 +MEDIATOR_UNAVAILABLE: No mediator of web01/m);
      assert.match(out, /Start rune-lmm at 192\.0\.2\.9:50052/);
      assert.match(out, /^\[warn\] mediator 192\.0\.2\.10:50052 +asked for web03/m);
    });

    it('plans an action that needs no parameters, over the nodes that are not in maintenance', async () => {
      const resting = { ...WEB01, name: 'web02', maintenance: true };
      const lom = await lomOf(() => ({
        listActions: async () =>
          ListActionsResponse.fromPartial({ actions: [TAIL_LOG, { ...TAIL_LOG, action: 'uptime' }] }),
        listNodes: async () => ListNodesResponse.fromPartial({ nodes: [WEB01, resting] }),
        planExecution: async ({ action, targets }) => {
          if (action === 'tail-log') throw new RuneError('INVALID_PARAMS', 'unit is missing.');
          assert.deepEqual(targets?.nodes, ['web01']);
          return PlanExecutionResponse.fromPartial({ runs: [{ node: 'web01', mediator: 'lmm:1' }] });
        },
        getNode: async ({ name }) =>
          GetNodeResponse.fromPartial({ node: name === 'web02' ? resting : WEB01 }),
      }));
      const { code, out } = await rune(['doctor', '--node', 'web02', '--server', lom.address]);
      assert.equal(code, 0);
      assert.match(out, /^\[ ok \] mediator lmm:1 +answers$/m);
      assert.match(
        out,
        /^\[warn\] nodes +2 nodes loaded\n +in maintenance, so a run there is refused: web02$/m,
      );
      assert.match(out, /^\[warn\] node web02 +can be reached, but is in maintenance/m);
    });
  });

  describe('the calls that answer once', () => {
    it('end with 5 after --call-timeout', async () => {
      const lom = await lomOf(() => ({ listActions: () => new Promise(() => undefined) }));
      const { code, err } = await rune(['actions', '--server', lom.address, '--call-timeout', '200ms']);
      assert.equal(code, 5);
      assert.match(err, /CALL_DEADLINE_EXCEEDED/);
    });

    it('end with 130 at Ctrl-C', async () => {
      let asked: () => void = () => undefined;
      const request = new Promise<void>((resolve) => (asked = resolve));
      const lom = await lomOf(() => ({
        listActions: () => {
          asked();
          return new Promise(() => undefined);
        },
      }));
      const process = start(['actions', '--server', lom.address, '--call-timeout', '1m']);
      await request;
      process.child.kill('SIGINT');
      assert.equal(await process.exited, 130);
    });
  });
});

describe('rune alone', () => {
  const rune = async (...args: string[]) => {
    const process = spawnRune(args);
    const code = await process.exited;
    return { code, out: process.out(), err: process.err() };
  };

  it('--version names the version on stdout', async () => {
    const { code, out } = await rune('--version');
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
    const { code, err } = await rune();
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
      const { code, out } = await rune(...command, '--help');
      assert.equal(code, 0);
      assert.match(out, /^Examples?:\n {2}/m, command.join(' '));
    }
  });

  it('the help of a catalogue names the options that it takes, and no list is shown as a default', async () => {
    const { out } = await rune('nodes', '--help');
    for (const option of ['--group', '--select', '--output', '--server'])
      assert.ok(out.includes(option), out);
    assert.match((await rune('actions', '--help')).out, /--output/);
    for (const command of ['run', 'up'])
      assert.doesNotMatch((await rune(command, '--help')).out, /default: \[\]/);
  });

  it('help explains a command or the exit codes, and refuses another topic', async () => {
    assert.match((await rune('help', 'exit-codes')).out, /^ 124  TIMED_OUT/m);
    assert.match((await rune('help', 'nodes', 'show')).out, /^Usage: rune nodes show/);
    assert.equal((await rune('help', 'nothing')).code, 2);
  });

  it('suggests what was meant', async () => {
    assert.match((await rune('rnu')).err, /Did you mean run\?/);
  });

  it('ends quietly when its reader has gone', async () => {
    const process = spawnRune(['run', '--help']);
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
    const { code } = await rune('nodes', '--server', `127.0.0.1:${port}`, '--call-timeout', '300ms');
    assert.equal(code, 5);
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});
