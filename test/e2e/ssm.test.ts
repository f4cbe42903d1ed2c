import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { ExecutionState, RunState, StopReason } from '../../services/shared/gen/rune/v1/run.js';
import { spawnRune } from '../support/spawn-rune.js';
import { eventually } from '../support/eventually.js';
import { findProcesses } from '../support/processes.js';
import { runAction, type Ran } from '../support/run-action.js';
import { makeAwsProgram } from '../support/ssm/aws-program.js';
import { startSsmEndpoint, type SsmEndpoint } from '../support/ssm/ssm-endpoint.js';
import type { TempDirectory } from '../support/temp-directory.js';
import { startWorld, type World } from '../support/world.js';

/** How many instances and executions the storm has; `SSM_STORM=100x5` makes 500 runs of it, which takes minutes. */
const [INSTANCES = 6, EXECUTIONS = 3] = (process.env['SSM_STORM'] ?? '')
  .split('x')
  .filter(Boolean)
  .map(Number);
const STORM_TIMEOUT_MS = 1_800_000;

const FLEET = Array.from(
  { length: INSTANCES + 2 },
  (_, index) => `i-0000000000000${index.toString(16).padStart(4, '0')}`,
);
const [WEB, CUT] = FLEET as [string, string];
/** Two that are not in the storm: one to which nothing can be delivered, and one that is terminated. */
const [DARK, GONE] = FLEET.slice(-2) as [string, string];

type Request = Parameters<World['client']['run']>[0];
type Seen = Parameters<typeof runAction>[2];

/** Everything that a script says, also what it holds compressed. */
function unpack(script: string): string {
  const blobs = script.match(/(?:^[A-Za-z0-9+/=]{8,}$\n?)+/gm) ?? [];
  // Where one value ends and the next begins is not known: any line may be the first of one.
  const values = blobs.flatMap((blob) => {
    const lines = blob.trimEnd().split('\n');
    return lines.flatMap((line, index) => [line, lines.slice(index).join('')]);
  });
  return [script, ...values.map((value) => inflate(Buffer.from(value, 'base64')).toString('latin1'))].join(
    '\n',
  );
}

/** The bytes themselves where they are not compressed. */
function inflate(bytes: Buffer): Buffer {
  try {
    return gunzipSync(bytes);
  } catch {
    return bytes;
  }
}

describe('the main job over Systems Manager', () => {
  let aws: SsmEndpoint;
  let programs: TempDirectory;
  let world: World;
  const run = (request: Request, seen?: Seen): Promise<Ran> => runAction(world.client, request, seen);
  /** How often the endpoint executed a script on an instance that holds this run of it, alone or with those of others. */
  const executionsOf = (node: string, runId: string): number =>
    aws.record
      .executions()
      .filter(({ instanceId, script }) => instanceId === node && script.includes(`\n${runId} `)).length;
  /** How many requests of each kind there were since there were so many in all. */
  const callsSince = (before: number): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (const { name } of aws.record.calls().slice(before)) counts[name] = (counts[name] ?? 0) + 1;
    return counts;
  };
  const runIds = ({ events }: Ran): Map<string, string> =>
    new Map(events.flatMap(({ node, runId }) => (runId === '' ? [] : [[node, runId] as const])));
  const nameOf = (ran: Ran, node: string): string | undefined =>
    ran.outcomes.get(node)?.error?.errorData?.name;
  /** Runs sleep-for on one instance; `act` is called once it sleeps there. */
  const whileSleeping = async (node: string, act: (executionId: string) => unknown): Promise<Ran> => {
    // A number of seconds that no other test sleeps for.
    const seconds = 500 + FLEET.indexOf(node);
    let acted: Promise<unknown> | undefined;
    const ran = await run(
      { action: 'sleep-for', targets: { nodes: [node] }, params: { seconds } },
      (event) => {
        acted ??= eventually(
          () => {
            const sleeping = findProcesses(`sleep\0${seconds}\0`);
            return aws
              .instance(node)
              .processes()
              .some((pid) => sleeping.includes(pid));
          },
          { label: 'the sleep' },
        ).then(() => act(event.executionId));
      },
    );
    await acted;
    return ran;
  };

  before(async () => {
    programs = await makeAwsProgram();
    aws = await startSsmEndpoint({
      instances: Object.fromEntries(FLEET.map((id) => [id, {}])),
      programs: programs.path,
      hiddenMs: 500,
      scriptsMax: 6,
      deliveryMs: 20,
      // Less than the mediator is told that it may ask for.
      ratesPerSecond: {
        SendCommand: 15,
        ListCommands: 15,
        ListCommandInvocations: 15,
        GetCommandInvocation: 15,
      },
    });
    world = await startWorld({
      nodes: () => Object.fromEntries(FLEET.map((id) => [id, { transport: 'ssm', region: aws.region }])),
      lmm: {
        ssm: {
          enabled: true,
          endpoint: aws.url,
          parameters: ['/rune/'],
          requests_per_second: 40,
          poll_first: '100ms',
          poll_max: '1s',
          find_wait: '4s',
          // Far beyond what a busy machine needs, which runs the scripts of all instances.
          delivery_timeout: '15m',
          request_timeout: '2m',
          send_wait: '15m',
        },
      },
      lmmEnv: aws.env,
    });
  });
  after(async () => {
    await world?.stop();
    await aws?.stop();
    await programs?.remove();
  });
  afterEach(() => aws.faults.clear());

  it('looks to a user as over SSH, but for one line that says when log and result come', async () => {
    const facts = async (node: string, ...args: string[]): Promise<{ out: string; err: string[] }> => {
      const rune = spawnRune(['run', 'host-facts', '--server', world.lom.address, '--node', node, ...args]);
      assert.equal(await rune.exited, 0, rune.err());
      // Numbers and ids change from moment to moment, and columns with the numbers in them.
      const still = (text: string): string =>
        text
          .replaceAll(node, 'NODE')
          .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID')
          .replaceAll(/\d+(\.\d+)?( m?s)?/g, '0')
          .replaceAll(/ +/g, ' ');
      return { out: still(rune.out()), err: still(rune.err()).trimEnd().split('\n') };
    };
    const [ssh, ssm] = [await facts('root'), await facts(WEB, '--use-ssm')];
    assert.match(ssh.out, /^kernel: /m);
    assert.equal(ssm.out, ssh.out);
    const [heading = '', waiting, ...rest] = ssm.err;
    assert.equal(waiting, 'NODE Systems Manager has the command ID; log and result come when it ends.');
    assert.deepEqual([heading, ...rest], ssh.err);
  });

  it('is checked by rune doctor: credentials, region, and that the agent is online', async () => {
    const rune = spawnRune(['doctor', '--server', world.lom.address, '--node', WEB]);
    assert.equal(await rune.exited, 0, rune.out());
    assert.match(
      rune.out(),
      new RegExp(`node ${WEB} +its SSM agent is online\\n +SSM agent: Online, version`),
    );
    aws.faults.inject({ call: 'DescribeInstanceInformation', kind: 'denied' });
    const denied = spawnRune(['doctor', '--server', world.lom.address, '--node', WEB]);
    assert.notEqual(await denied.exited, 0);
    assert.match(denied.out(), /AccessDenied/);
  });

  it('carries parameters literally, and log lines when the run ends', async () => {
    const text = `{{ssm:x}} {{ commands }} quotes "' $(touch /tmp/rune-ssm-injected) \`id\` \\ \u{1f692}\n\t`;
    const { outcomes, log, events } = await run({
      action: 'show-context',
      targets: { nodes: [WEB] },
      params: { text },
    });
    const output = outcomes.get(WEB)?.result?.output as { readonly params?: { readonly text?: string } };
    assert.equal(output?.params?.text, text, JSON.stringify(outcomes.get(WEB)));
    assert.deepEqual(log(WEB), ['careful', 'plain']);
    const [waiting] = events.flatMap(({ event }) => (event?.$case === 'progress' ? [event.value] : []));
    assert.equal(waiting?.logStreaming, false);
  });

  it('refuses an action with a secret before anything is sent, and sends no credential either', async () => {
    const secret = `s3cret-${randomUUID()}`;
    const open = `open-${randomUUID()}`;
    const before = aws.record.calls('SendCommand').length;
    const refused = await run({
      action: 'restart-nomad',
      targets: { nodes: [WEB] },
      params: { token: secret },
    }).catch((error: unknown) => error as { readonly name: string });
    const name = 'name' in refused ? refused.name : nameOf(refused, WEB);
    assert.equal(name, 'SECRET_NOT_CARRIED');
    assert.equal(aws.record.calls('SendCommand').length, before);
    await run({ action: 'show-context', targets: { nodes: [WEB] }, params: { text: open } });
    const sent = aws.record
      .calls()
      .map(
        ({ input }) =>
          unpack((input['Parameters'] as { commands?: string[] })?.commands?.join('\n') ?? '') +
          JSON.stringify(input),
      )
      .join('\n');
    assert.ok(sent.includes(open), 'what is not secret is found, so a secret would be');
    for (const value of [secret, aws.credentials.secretAccessKey]) assert.ok(!sent.includes(value));
  });

  it('lets the node look up a secret, and runs nothing where it cannot', async () => {
    const asked = {
      action: 'restart-nomad',
      targets: { nodes: [WEB] },
      params: { token: 'ssm:/rune/denied' },
    };
    const { outcomes } = await run(asked);
    const error = outcomes.get(WEB)?.error?.errorData;
    assert.equal(error?.name, 'SSM_PARAMETER_UNAVAILABLE', error?.message);
    assert.match(
      error?.message ?? '',
      /could not look up \/rune\/denied for the parameter token: .*AccessDenied/,
    );
    const refused = await run({ ...asked, params: { token: 'ssm:/other' } });
    assert.equal(nameOf(refused, WEB), 'SSM_PARAMETER_NOT_ALLOWED');
  });

  it('stops a plugin on cancel, and says that nothing of it is alive', async () => {
    const ran = await whileSleeping(WEB, (executionId) => world.client.cancelExecution({ executionId }));
    const outcome = ran.outcomes.get(WEB);
    assert.deepEqual(
      [outcome?.state, outcome?.stopReason, outcome?.cancelConfirmed],
      [RunState.CANCELLED, StopReason.CANCEL, true],
      JSON.stringify(outcome),
    );
    assert.deepEqual(aws.instance(WEB).processes(), []);
  });

  it('cancels a command that the service does not show yet', async () => {
    const path = `/tmp/rune-ssm-${randomUUID()}`;
    const before = aws.record.calls('SendCommand').length;
    let cancelled: Promise<unknown> | undefined;
    const ran = await run(
      { action: 'mark-file', targets: { nodes: [WEB] }, params: { path, seconds: 20 } },
      ({ executionId }) => {
        cancelled ??= eventually(() => aws.record.calls('SendCommand').length > before, {
          label: 'the command',
        }).then(() => world.client.cancelExecution({ executionId }));
      },
    );
    await cancelled;
    assert.equal(ran.outcomes.get(WEB)?.state, RunState.CANCELLED, JSON.stringify(ran.outcomes.get(WEB)));
    assert.ok(
      aws.record.calls('CancelCommand').some(({ outcome }) => outcome === 'InvalidCommandId'),
      'the cancel came before the command was shown',
    );
    assert.equal(existsSync(path), false);
  });

  it('ends a plugin at its time, gently, before the agent would', async () => {
    const { outcomes } = await run({
      action: 'sleep-for',
      targets: { nodes: [WEB] },
      timeout: { seconds: 2, nanos: 0 },
    });
    const outcome = outcomes.get(WEB);
    assert.deepEqual([outcome?.state, outcome?.stopReason], [RunState.TIMED_OUT, StopReason.TIMEOUT]);
    assert.deepEqual(aws.instance(WEB).processes(), []);
  });

  it('keeps a plugin’s 194 from rebooting the host', async () => {
    const { outcomes } = await run({
      action: 'fail-with',
      targets: { nodes: [WEB] },
      params: { exit_code: 194 },
    });
    assert.equal(outcomes.get(WEB)?.exitCode, 194);
    assert.equal(
      aws.record.executions().every(({ attempt }) => attempt === 1),
      true,
    );
  });

  it('does not run a plugin again that a reboot of its node cut off, and says that nobody knows', async () => {
    const ran = await whileSleeping(CUT, () => aws.instance(CUT).agent.reboot());
    assert.equal(ran.outcomes.get(CUT)?.state, RunState.LOST, JSON.stringify(ran.outcomes.get(CUT)));
    assert.deepEqual(aws.instance(CUT).processes(), []);
  });

  it('tells apart a node that is gone, one that gets nothing, and those that are fine', async () => {
    aws.instance(GONE).terminate();
    aws.instance(DARK).refuseDelivery();
    aws.faults.inject({ call: 'SendCommand', kind: 'throttled', times: 3 });
    aws.faults.inject({ call: 'ListCommandInvocations', kind: 'slow', delayMs: 300, times: 5 });
    const ran = await run({
      action: 'noop',
      targets: { nodes: [WEB, DARK, GONE, CUT, ...FLEET.slice(2, 4)] },
    });
    assert.deepEqual(
      [WEB, DARK, GONE, CUT].map((node) => [ran.outcomes.get(node)?.state, nameOf(ran, node)]),
      [
        [RunState.SUCCEEDED, undefined],
        [RunState.FAILED, 'SSM_NOT_DELIVERED'],
        [RunState.FAILED, 'SSM_INSTANCE_UNKNOWN'],
        [RunState.SUCCEEDED, undefined],
      ],
    );
    assert.equal(ran.state, ExecutionState.PARTIAL);
    for (const [node, runId] of runIds(ran))
      assert.equal(executionsOf(node, runId), [DARK, GONE].includes(node) ? 0 : 1, node);
  });

  for (const [when, nodes, kind] of [
    ['while the plugin runs', [WEB], undefined],
    ['before it knows whether their command was accepted', [WEB, ...FLEET.slice(2, 4)], 'answer-stalled'],
  ] as const) {
    it(`goes on with runs whose mediator is killed ${when}, and sends nothing again`, async () => {
      const path = `/tmp/rune-ssm-${randomUUID()}`;
      if (kind !== undefined) aws.faults.inject({ call: 'SendCommand', kind });
      const before = aws.record.executions().length;
      const running = run({
        action: 'mark-file',
        targets: { nodes: [...nodes] },
        params: { path, seconds: 3 },
      });
      await eventually(() => aws.record.executions().length === before + nodes.length, {
        label: 'the scripts',
      });
      world.lmm.kill('SIGKILL');
      await world.restart('lmm');
      const ran = await running;
      for (const node of nodes) {
        const outcome = ran.outcomes.get(node);
        assert.equal(outcome?.state, RunState.SUCCEEDED, JSON.stringify(outcome));
        assert.equal(executionsOf(node, runIds(ran).get(node) ?? ''), 1);
      }
      const marks = (await readFile(path, 'utf8')).trimEnd().split('\n');
      assert.deepEqual(new Set(marks), new Set(runIds(ran).values()));
      assert.equal(marks.length, nodes.length);
      await rm(path);
    });
  }

  it('takes one command for a fan-out, and no request of its own for a short result', async () => {
    const before = aws.record.calls().length;
    const nodes = FLEET.slice(0, INSTANCES);
    const ran = await run({ action: 'noop', targets: { nodes } });
    assert.equal(ran.state, ExecutionState.SUCCEEDED);
    const calls = callsSince(before);
    for (const [node, runId] of runIds(ran)) assert.equal(executionsOf(node, runId), 1, node);
    // A busy machine may start its runs further apart than one command waits for them.
    assert.ok((calls['SendCommand'] ?? 0) < nodes.length, JSON.stringify(calls));
    assert.equal(calls['GetCommandInvocation'] ?? 0, 0);
    console.log(`      ${nodes.length} runs: ${JSON.stringify(calls)}`);
  });

  it('ends every run of a storm truthfully, and executes each script once', async function () {
    this.timeout(STORM_TIMEOUT_MS);
    const before = aws.record.calls().length;
    const { inject } = aws.faults;
    const always = { times: Infinity };
    inject({ call: 'SendCommand', kind: 'throttled', times: 2 });
    inject({ call: 'SendCommand', kind: 'answer-lost', share: 0.1, ...always });
    inject({ call: 'SendCommand', kind: 'answer-failed', share: 0.05, ...always });
    inject({ call: 'SendCommand', kind: 'answer-garbled', share: 0.05, ...always });
    inject({ call: 'SendCommand', kind: 'lost', share: 0.03, ...always });
    for (const call of ['ListCommands', 'ListCommandInvocations', 'GetCommandInvocation']) {
      inject({ call, kind: 'failed', share: 0.05, ...always });
      inject({ call, kind: 'answer-lost', share: 0.05, ...always });
    }
    const nodes = FLEET.slice(0, INSTANCES);
    const all = await Promise.all(
      Array.from({ length: EXECUTIONS }, () => run({ action: 'noop', targets: { nodes } })),
    );
    const unknown: string[] = [];
    const seen = { succeeded: 0, lost: 0, other: 0 };
    for (const ran of all) {
      for (const [node, runId] of runIds(ran)) {
        const outcome = ran.outcomes.get(node);
        const times = executionsOf(node, runId);
        const what = `${node} ${runId} ${JSON.stringify(outcome)}`;
        assert.ok(times <= 1, `${times} times: ${what}`);
        if (outcome?.state === RunState.SUCCEEDED) {
          seen.succeeded += 1;
          assert.equal(times, 1, what);
        } else if (outcome?.state === RunState.LOST) {
          seen.lost += 1;
          unknown.push(`${node} ${outcome.error?.errorData?.message ?? ''}`);
        } else {
          seen.other += 1;
          assert.equal(times, 0, what);
        }
      }
    }
    const runs = nodes.length * EXECUTIONS;
    assert.equal(seen.succeeded + seen.lost + seen.other, runs);
    // Only a request that was cut off before it was accepted leaves nothing to find, for none of its instances.
    const throttled = aws.record.calls().filter(({ outcome }) => outcome === 'ThrottlingException').length;
    assert.ok(throttled > 0, 'the service throttled');
    const cutOff = aws.record
      .calls('SendCommand')
      .filter(({ outcome }) => outcome === 'lost')
      .reduce((sum, { input }) => sum + (input['InstanceIds'] as readonly string[]).length, 0);
    assert.ok(seen.lost <= cutOff && seen.other === 0, JSON.stringify({ ...seen, cutOff, unknown }));
    console.log(
      `      ${runs} runs: ${JSON.stringify({ ...seen, cutOff })}; ${JSON.stringify(callsSince(before))}, ${throttled} throttled`,
    );
  });
});
