import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RuneError } from '../../services/shared/errors.js';
import { PlanExecutionResponse } from '../../services/shared/gen/rune/v1/lom.js';
import { ExecutionState, RunState } from '../../services/shared/gen/rune/v1/run.js';
import { runeWorld } from '../support/rune-world.js';
import { type LomScript } from '../support/scripted-lom.js';
import { createEvents, EXECUTION_ID, failure, play, threeNodes } from './events.js';

describe('rune run', () => {
  const { lomOf, rune, run, start } = runeWorld();

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
    const script: LomScript = () => ({
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
});
