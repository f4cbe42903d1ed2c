import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ExecutionState, RunState, type Outcome } from '../../services/shared/gen/rune/v1/run.js';
import { RunResponse } from '../../services/shared/gen/rune/v1/lom.js';
import { DeliveryMode } from '../../services/shared/gen/rune/v1/rcs.js';
import { RuneError } from '../../services/shared/errors.js';
import { newId } from '../../services/shared/messages/ids.js';
import { assertNoGap } from '../support/execution-events.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { findProcesses } from '../support/processes.js';
import { runAction, type Ran } from '../support/run-action.js';
import { rejectionOf } from '../support/thrown-by.js';
import { sshNode, startWorld, type World } from '../support/world.js';

const errorName = (outcome: Outcome | undefined): string | undefined => outcome?.error?.errorData?.name;

const whenRunning =
  (act: (event: RunResponse) => void) =>
  (event: RunResponse): void => {
    if (event.event?.$case === 'state' && event.event.value === RunState.RUNNING) act(event);
  };

describe('the main job, through both services over a real sshd', () => {
  let world: World;
  const run = (
    request: Parameters<World['client']['run']>[0],
    seen?: (event: RunResponse) => void,
  ): Promise<Ran> => runAction(world.client, request, seen);

  before(async () => {
    const closed = await freePort();
    world = await startWorld({
      nodes: (sshd) => ({
        unreachable: { ...sshNode(sshd, 'root'), port: closed },
        changed: { ...sshNode(sshd, 'root'), host_key_fingerprints: [`SHA256:${'A'.repeat(43)}`] },
        stranger: { ...sshNode(sshd, 'nobody-at-all') },
        described: { ...sshNode(sshd, 'root'), labels: { env: 'prod' }, vars: { role: 'db', ports: [1, 2] } },
        otherwise: { ...sshNode(sshd, 'root'), run_as: 'rune-test' },
        either: { ...sshNode(sshd, 'rune-test'), transports: ['ssh', 'openssh'] },
        away: { ...sshNode(sshd, 'root'), port: closed, transport: 'openssh' },
        system: { ...sshNode(sshd, 'root'), transport: 'openssh' },
        resting: { ...sshNode(sshd, 'root'), maintenance: true },
      }),
      lom: { log_level: 'debug' },
      lmm: { log_level: 'debug' },
    });
  });
  after(() => world.stop());

  it('runs by the transport that the caller chooses among those of the node', async () => {
    for (const transport of ['ssh', 'openssh']) {
      const request = { action: 'noop', targets: { nodes: ['either'] }, transport };
      const { state, outcomes } = await run(request);
      assert.equal(state, ExecutionState.SUCCEEDED, JSON.stringify(outcomes.get('either')));
    }
  });

  for (const node of ['root', 'user', 'here']) {
    it(`prints facts of ${node}, typed`, async () => {
      const { state, outcomes, events } = await run({ action: 'host-facts', targets: { nodes: [node] } });
      const outcome = outcomes.get(node);
      assert.equal(errorName(outcome), undefined);
      assert.equal(state, ExecutionState.SUCCEEDED);
      assert.equal(typeof outcome?.result?.output?.kernel, 'string');
      assert.deepEqual(JSON.parse(outcome?.result?.outputJson.toString() ?? ''), outcome?.result?.output);
      assertNoGap(events);
      assert.ok(outcome?.startedAt instanceof Date && outcome.endedAt instanceof Date);
    });
  }

  it('tells three nodes apart: one fine, one unreachable, one with a changed host key', async () => {
    const { state, outcomes } = await run({
      action: 'host-facts',
      targets: { nodes: ['root', 'unreachable', 'changed'] },
    });
    assert.equal(outcomes.get('root')?.state, RunState.SUCCEEDED);
    assert.equal(errorName(outcomes.get('unreachable')), 'NODE_UNREACHABLE');
    assert.equal(errorName(outcomes.get('changed')), 'HOST_KEY_CHANGED');
    assert.equal(state, ExecutionState.PARTIAL);
    for (const name of ['unreachable', 'changed']) {
      const error = outcomes.get(name)?.error;
      assert.equal(error?.errorData?.data?.node, name);
      assert.ok((error?.errorContext?.recoveryActions.length ?? 0) > 0);
    }
  });

  it('tells a refused login from everything else', async () => {
    const { outcomes } = await run({ action: 'noop', targets: { nodes: ['stranger'] } });
    assert.equal(errorName(outcomes.get('stranger')), 'AUTHENTICATION_FAILED');
  });

  it('runs an action as the user of the inventory, and plans it so', async () => {
    const request = { action: 'show-context', targets: { nodes: ['root', 'otherwise'] } };
    const { runs } = await world.client.planExecution(request);
    assert.deepEqual(
      runs.map(({ runAs }) => runAs),
      [{ user: 'rune-test', become: 'sudo' }, undefined],
    );
    const { outcomes } = await run(request);
    assert.equal(outcomes.get('root')?.result?.output?.user, 'root');
    assert.equal(outcomes.get('otherwise')?.result?.output?.user, 'rune-test');
  });

  it('streams log lines, levels and progress while the plugin runs', async () => {
    const { events, log, outcomes } = await run({ action: 'show-context', targets: { nodes: ['user'] } });
    assert.equal(outcomes.get('user')?.state, RunState.SUCCEEDED);
    assert.deepEqual(log('user'), ['careful', 'plain']);
    const progress = events.flatMap(({ event }) => (event?.$case === 'progress' ? [event.value] : []));
    assert.deepEqual(progress, [{ percent: 50, message: 'half way', logStreaming: undefined }]);
  });

  it('gives the plugin its parameters literally, and the node, its labels and variables as context', async () => {
    const text = `quotes "' $(touch /tmp/rune-injected) \`id\` ; | & \\ \u{1f692} \n\t{{7*7}} --flag`;
    const { outcomes } = await run({
      action: 'show-context',
      targets: { nodes: ['described'] },
      params: { text },
      reason: 'why not',
    });
    const output = outcomes.get('described')?.result?.output as {
      params: object;
      context: Record<string, unknown>;
    };
    assert.deepEqual(output.params, { text });
    assert.equal(existsSync('/tmp/rune-injected'), false);
    assert.equal(output.context.node, 'described');
    assert.equal(output.context.action, 'show-context');
    assert.equal(output.context.reason, 'why not');
    assert.equal(output.context.triggered_by, 'loopback');
    assert.deepEqual(output.context.node_vars, { role: 'db', ports: [1, 2] });
    assert.deepEqual(output.context.node_labels, { env: 'prod' });
  });

  it('keeps a parameter out of every argument list, environment and temporary file on the way', async () => {
    const canary = 'canary-5d2f7c';
    let seen: number[] = [];
    await run(
      {
        action: 'sleep-for',
        targets: { nodes: ['user', 'root', 'here'] },
        params: { seconds: 1 },
        reason: canary,
      },
      whenRunning(() => {
        seen = findProcesses(canary);
      }),
    );
    assert.deepEqual(seen, []);
  });

  it('keeps a secret to a plugin that prints it, however its run ends, from whatever is logged, stored, streamed or listed', async () => {
    const [secret, name] = [`secret-${newId()}`, `name-${newId()}`];
    const ways = ['user', 'root', 'here', 'system'];
    const keep = (how: string, nodes: string[], timeoutS = 60, seen?: (event: RunResponse) => void) =>
      run(
        {
          action: 'keep-secret',
          targets: { nodes },
          params: { name, password: secret, how },
          timeout: { seconds: timeoutS, nanos: 0 },
        },
        seen,
      );
    const keeping = new Set<string>();
    let listed: number[] | undefined;
    const cancelled = keep('hang', ways, 60, ({ executionId, node, event }) => {
      if (event?.$case !== 'log') return;
      keeping.add(node);
      if (keeping.size < ways.length || listed !== undefined) return;
      listed = findProcesses(secret);
      void world.client.cancelExecution({ executionId, reason: 'test' });
    });
    const ran = await Promise.all([
      keep('ok', [...ways, 'unreachable', 'away', 'changed', 'stranger']),
      keep('fail', ways),
      keep('hang', ways, 1),
      cancelled,
    ]);
    const { PARTIAL, FAILED, TIMED_OUT, CANCELLED } = ExecutionState;
    assert.deepEqual(
      ran.map(({ state }) => state),
      [PARTIAL, FAILED, TIMED_OUT, CANCELLED],
    );
    assert.deepEqual(listed, []);
    for (const event of ran.flatMap(({ events }) => events))
      assert(!Buffer.from(RunResponse.encode(event).finish()).includes(secret), event.node);
    for (const { log } of ran) assert.match(log('user').join(), /keeping \[redacted\]/);
    for (const line of [...world.lom.log, ...world.lmm.log]) assert(!line.includes(secret), line);
    const stored = readdirSync(world.directory)
      .filter((file) => file.startsWith('rune.db'))
      .map((file) => readFileSync(join(world.directory, file)));
    assert(stored.some((bytes) => bytes.includes(name)));
    assert(!stored.some((bytes) => bytes.includes(secret)));
  });

  it('runs a Python plugin from a directory that only it can read and that is gone afterwards', async () => {
    const { outcomes, log } = await run({
      action: 'facts-py',
      targets: { nodes: ['user'] },
      params: { text: 'žluť' },
    });
    const output = outcomes.get('user')?.result?.output as Record<string, string>;
    assert.equal(errorName(outcomes.get('user')), undefined);
    assert.equal(output.text, 'žluť');
    assert.equal(output.mode, '0o700');
    assert.equal(existsSync(output.directory ?? ''), false);
    assert.deepEqual(log('user'), ['python speaking']);
  });

  describe('tells the endings of a plugin apart', () => {
    const cases: [title: string, params: object, expected: string, fields: Partial<Outcome>][] = [
      [
        'an exit code without an answer',
        { exit_code: 7, log: 'no such thing' },
        'PLUGIN_CRASHED',
        { exitCode: 7 },
      ],
      ['exit 137, which is no signal', { exit_code: 137 }, 'PLUGIN_CRASHED', { exitCode: 137, signal: '' }],
      ['exit 255, which is no lost link', { exit_code: 255 }, 'PLUGIN_CRASHED', { exitCode: 255 }],
      ['death by signal', { exit_code: 0, signal: 'KILL' }, 'PLUGIN_KILLED', { signal: 'KILL' }],
      ['no result', { exit_code: 0 }, 'OUTPUT_MISSING', { exitCode: 0 }],
      ['text instead of a result', { exit_code: 0, print: 'fine' }, 'OUTPUT_NOT_JSON', {}],
      [
        'success with exit 3',
        { exit_code: 3, print: '{"payload":{"result":"success"}}' },
        'OUTPUT_CONTRADICTS_EXIT',
        {},
      ],
      [
        'a reported failure',
        { exit_code: 3, print: '{"error":{"code":3,"message":"no"}}' },
        'PLUGIN_FAILED',
        {},
      ],
    ];
    for (const [title, params, expected, fields] of cases) {
      it(title, async () => {
        const { outcomes, state } = await run({ action: 'fail-with', targets: { nodes: ['user'] }, params });
        const outcome = outcomes.get('user');
        assert.equal(errorName(outcome), expected);
        for (const [key, value] of Object.entries(fields))
          assert.equal(outcome?.[key as keyof Outcome], value, key);
        assert.equal(state, ExecutionState.FAILED);
      });
    }

    it('with the end of what the plugin said on standard error', async () => {
      const params = { exit_code: 7, log: 'the disk is on fire' };
      const { outcomes } = await run({ action: 'fail-with', targets: { nodes: ['user'] }, params });
      assert.equal(outcomes.get('user')?.error?.errorData?.data?.stderrTail, 'the disk is on fire');
    });
  });

  describe('stops a plugin so that nothing of it is left on the node', () => {
    for (const node of ['user', 'root', 'here']) {
      it(`on cancel, on ${node}, also a child that ignores TERM`, async () => {
        let runId = '';
        let cancelled: Promise<unknown> | undefined;
        const { state, outcomes } = await run(
          { action: 'sleep-for', targets: { nodes: [node] }, params: { stubborn: true } },
          (event) => {
            if (event.event?.$case !== 'log') return;
            runId = event.runId;
            // The plugin prints its line before it starts the first process that can be told by its environment.
            cancelled ??= eventually(() => findProcesses(runId).length > 0, {
              label: 'a process of the run',
            }).then(() => world.client.cancelExecution({ executionId: event.executionId, reason: 'test' }));
          },
        );
        await cancelled;
        assert.equal(state, ExecutionState.CANCELLED);
        assert.equal(outcomes.get(node)?.cancelConfirmed, true);
        assert.deepEqual(findProcesses(runId), []);
      });
    }

    it('on timeout', async () => {
      let runId = '';
      const { state, outcomes } = await run(
        { action: 'sleep-for', targets: { nodes: ['user'] }, timeout: { seconds: 1, nanos: 0 } },
        (event) => (runId ||= event.runId),
      );
      assert.equal(state, ExecutionState.TIMED_OUT);
      assert.equal(errorName(outcomes.get('user')), 'RUN_TIMED_OUT');
      assert.equal(outcomes.get('user')?.cancelConfirmed, true);
      assert.deepEqual(findProcesses(runId), []);
    });

    it('when the caller leaves and had asked for that', async () => {
      let runId = '';
      const request = { action: 'sleep-for', targets: { nodes: ['user'] }, cancelOnDisconnect: true };
      for await (const event of world.client.run(request)) {
        runId = event.runId;
        if (event.event?.$case === 'log') break;
      }
      await eventually(() => findProcesses(runId).length === 0, { label: 'the end of the plugin' });
    });
  });

  it('lets a plugin finish whose caller left at its deadline', async () => {
    const path = join('/tmp', `rune-mark-${process.pid}`);
    const request = { action: 'mark-file', targets: { nodes: ['root'] }, params: { path, seconds: 2 } };
    await assert.rejects(
      async () => {
        for await (const event of world.client.run(request, { timeoutMs: 1000 })) assert.ok(event);
      },
      (error) => error instanceof RuneError && error.name === 'CALL_DEADLINE_EXCEEDED',
    );
    assert.equal(existsSync(path), false);
    await eventually(() => existsSync(path), { label: 'the mark of the plugin' });
    execFileSync('rm', ['-f', path]);
  });

  describe('before anything runs', () => {
    const refused = (request: Parameters<World['client']['run']>[0]): Promise<RuneError> =>
      rejectionOf(run(request));

    it('shows a plan without contacting any node', async () => {
      const plan = await world.client.planExecution({
        action: 'noop',
        targets: { nodes: ['unreachable', 'changed'] },
      });
      assert.deepEqual(
        plan.runs.map(({ node }) => node),
        ['changed', 'unreachable'],
      );
      assert.equal(plan.runs[0]?.mediator, world.lmm.address);
      assert.match(plan.digest, /^[0-9a-f]{64}$/);
    });

    it('refuses a dry run that the action does not support', async () => {
      assert.equal(
        (await refused({ action: 'sleep-for', targets: { nodes: ['user'] }, dryRun: true })).name,
        'DRY_RUN_NOT_SUPPORTED',
      );
    });

    it('asks for the risk of a destructive action to be acknowledged, and shows its plan all the same', async () => {
      const request = { action: 'spoil-node', targets: { nodes: ['user'] } };
      assert.equal((await refused(request)).name, 'RISK_NOT_ACKNOWLEDGED');
      assert.equal((await world.client.planExecution(request)).action, 'spoil-node');
      assert.equal((await run({ ...request, acknowledgeRisk: true })).state, ExecutionState.SUCCEEDED);
      assert.equal((await run({ ...request, dryRun: true })).outcomes.get('user')?.result?.dryRun, true);
    });

    const cases: [title: string, request: Parameters<World['client']['run']>[0], expected: string][] = [
      ['an unknown action', { action: 'no-such', targets: { nodes: ['user'] } }, 'ACTION_NOT_FOUND'],
      [
        'an action name that is a path',
        { action: '../../etc/passwd', targets: { nodes: ['user'] } },
        'ACTION_NOT_FOUND',
      ],
      ['no action', { targets: { nodes: ['user'] } }, 'FIELD_MISSING'],
      ['no target', { action: 'noop' }, 'FIELD_MISSING'],
      ['an unknown node', { action: 'noop', targets: { nodes: ['nope'] } }, 'NODE_NOT_FOUND'],
      ['an unknown group', { action: 'noop', targets: { groups: ['nope'] } }, 'GROUP_NOT_FOUND'],
      [
        'labels that no node carries',
        { action: 'noop', targets: { labels: { a: 'b' } } },
        'NO_NODES_MATCHED',
      ],
      [
        'an unknown parameter',
        { action: 'noop', targets: { nodes: ['user'] }, params: { x: 1 } },
        'INVALID_PARAMS',
      ],
      [
        'a parameter of the wrong type',
        { action: 'noop', targets: { nodes: ['user'] }, params: { message: 1 } },
        'INVALID_PARAMS',
      ],
      [
        'a transport that the node does not list',
        { action: 'noop', targets: { nodes: ['user'] }, transport: 'local' },
        'TRANSPORT_NOT_AVAILABLE',
      ],
      ['a node in maintenance', { action: 'noop', targets: { nodes: ['resting'] } }, 'NODE_IN_MAINTENANCE'],
      [
        'a timeout that is too short',
        { action: 'noop', targets: { nodes: ['user'] }, timeout: { seconds: 0, nanos: 1 } },
        'FIELD_OUT_OF_RANGE',
      ],
      [
        'a field that is not served',
        {
          action: 'noop',
          targets: { nodes: ['user'] },
          header: { messageMetadata: { deliveryMode: DeliveryMode.EXACTLY_ONCE } },
        },
        'FIELD_NOT_SUPPORTED',
      ],
      [
        'a message that has expired',
        {
          action: 'noop',
          targets: { nodes: ['user'] },
          header: { messageMetadata: { expiresAt: new Date(Date.now() - 60_000) } },
        },
        'MESSAGE_EXPIRED',
      ],
    ];
    for (const [title, request, expected] of cases) {
      it(`refuses ${title}`, async () => {
        const error = await refused(request);
        assert.equal(error.name, expected);
        assert.notEqual(error.message, '');
      });
    }
  });
});
