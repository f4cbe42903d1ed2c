import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import type { SsmSettings } from '../../../services/lmm/transports/ssm/ssm-settings.js';
import type { NodeEnding, Transport } from '../../../services/lmm/transports/transport.js';
import type { NodeTarget } from '../../../services/shared/gen/rune/v1/lmm.js';
import { StopReason, type SsmAddress } from '../../../services/shared/gen/rune/v1/run.js';
import { newId } from '../../../services/shared/messages/ids.js';
import { eventually } from '../../support/eventually.js';
import { nodeOf } from '../../support/links.js';
import { commandFor, refusalOf, runPlugin, type PluginRun } from '../../support/run-plugin.js';
import type { SsmEndpoint } from '../../support/ssm/ssm-endpoint.js';
import { ssmWorld } from './ssm-world.js';

const WEB = 'i-0123456789abcdef0';
const DB = 'i-0123456789abcdef1';
const FAR = 'i-0123456789abcdef2';
const ROLE = 'arn:aws:iam::210987654321:role/runner';
const DENIED_ROLE = 'arn:aws:iam::210987654321:role/other';
const quiet = new AbortController().signal;

describe('the transport ssm', () => {
  const world = ssmWorld(
    () => ({
      instances: { [WEB]: {}, [DB]: {}, [FAR]: { account: '210987654321' } },
      roles: { [ROLE]: 'granted', [DENIED_ROLE]: 'denied' },
    }),
    { ssmRoles: [ROLE, DENIED_ROLE] },
  );
  const { open, executionsOf, isRunning } = world;
  let aws: SsmEndpoint;
  before(() => ({ aws } = world));
  afterEach(() => {
    for (const id of [WEB, DB]) aws.instance(id).connect();
  });

  const target = (changes: Partial<SsmAddress> = {}): NodeTarget => ({
    ...nodeOf({ kind: 'ssm', url: aws.url, region: aws.region, instanceIds: [WEB] }),
    ssm: { instanceId: WEB, region: aws.region, roleArn: '', ...changes },
  });
  const start = (script: string, changes: Partial<SsmSettings> = {}): PluginRun =>
    runPlugin(open(changes), commandFor(target(), script));

  for (const kind of ['answer-lost', 'answer-failed', 'answer-garbled'] as const) {
    it(`finds its command again after a send whose fate is unknown (${kind}), and never sends it twice`, async () => {
      aws.faults.inject({ call: 'SendCommand', kind });
      const run = start('echo once');
      assert.equal((await run.ending).kind, 'ended');
      assert.equal(run.stdout(), 'once\n');
      assert.equal(executionsOf(run), 1);
    });
  }

  it('says that a run is lost whose command cannot be found, and sends it no second time', async () => {
    aws.faults.inject({ call: 'SendCommand', kind: 'lost' });
    const before = aws.record.calls('SendCommand').length;
    const run = start('echo never', { ssmFindWaitMs: 500 });
    const ending = await run.ending;
    assert(ending.kind === 'lost' && !ending.started, JSON.stringify(ending));
    assert.ok(ending.stoppedOnNodeByMs > Date.now());
    assert.equal(aws.record.calls('SendCommand').length, before + 1);
    assert.equal(executionsOf(run), 0);
  });

  it('absorbs throttling of every call, and gives up sending only after sendWait', async () => {
    for (const call of ['SendCommand', 'ListCommandInvocations', 'GetCommandInvocation'])
      aws.faults.inject({ call, kind: 'throttled', times: 2 });
    // Too long for a list of commands.
    const run = start('head -c 3000 /dev/urandom');
    assert.equal((await run.ending).kind, 'ended');
    assert.equal(executionsOf(run), 1);

    aws.faults.inject({ call: 'SendCommand', kind: 'throttled', times: 1000 });
    const refusal = await refusalOf(start('echo never', { ssmSendWaitMs: 1_000 }));
    assert.equal(refusal.name, 'SSM_UNAVAILABLE');
    assert.match(refusal.message, /ThrottlingException/);
  });

  it('tells what the service refuses, and that nothing ran', async () => {
    aws.faults.inject({ call: 'SendCommand', kind: 'denied' });
    assert.equal((await refusalOf(start('echo never'))).name, 'SSM_ACCESS_DENIED');
    const unknown = runPlugin(
      open(),
      commandFor(target({ instanceId: 'i-0000000000000000f' }), 'echo never'),
    );
    assert.equal((await refusalOf(unknown)).name, 'SSM_INSTANCE_UNKNOWN');
    const document = await refusalOf(start('echo never', { ssmDocument: 'No-Such-Document' }));
    assert.equal(document.name, 'SSM_DOCUMENT_UNUSABLE');
  });

  it('cancels a command that does not reach its node in time: it never runs', async () => {
    aws.instance(WEB).disconnect();
    const run = start('echo never', { ssmDeliveryTimeoutMs: 200 });
    const refusal = await refusalOf(run);
    assert.equal(refusal.name, 'SSM_NOT_DELIVERED', refusal.message);
    aws.instance(WEB).connect();
    assert.equal(executionsOf(run), 0);
  });

  it('says of a cancelled command that had not reached its node that nothing ran', async () => {
    aws.instance(WEB).disconnect();
    const run = start('echo never');
    await eventually(() => aws.record.calls('ListCommandInvocations').length > 0, { label: 'a look' });
    run.stop(StopReason.CANCEL);
    assert.equal((await refusalOf(run)).name, 'RUN_CANCELLED');
    assert.equal(executionsOf(run), 0);
  });

  it('confirms a cancel by what the node says, with all that the plugin printed', async () => {
    const path = `/tmp/rune-ssm-${randomUUID()}`;
    const run = start(`trap "echo bye; exit 5" TERM; echo hello; : >${path}; while :; do sleep 0.1; done`);
    await eventually(() => existsSync(path), { label: 'the plugin to run' });
    run.stop(StopReason.CANCEL);
    const ending = await run.ending;
    assert(ending.kind === 'ended', JSON.stringify(ending));
    assert.equal(ending.stopReason, StopReason.CANCEL);
    assert.equal(ending.confirmed, true);
    assert.equal(run.stdout(), 'hello\nbye\n');
    assert.equal(executionsOf(run), 1);
    await rm(path);
  });

  it('says of a run that was cancelled before its plugin began that nothing ran', async () => {
    const path = `/tmp/rune-ssm-${randomUUID()}`;
    // The library is read before the plugin begins.
    const library = `: >${path}; while :; do sleep 0.1; done`;
    const run = runPlugin(open(), commandFor(target(), 'echo never', { library }));
    await eventually(() => existsSync(path), { label: 'the library' });
    run.stop(StopReason.CANCEL);
    const refusal = await refusalOf(run);
    assert.equal(refusal.name, 'RUN_CANCELLED', refusal.message);
    assert.equal(run.startedCount(), 0);
    await rm(path);
  });

  it('never lets an exit code reboot the host', async () => {
    const run = start('exit 194');
    const ending = await run.ending;
    assert(ending.kind === 'ended');
    assert.deepEqual(ending.end, { exitCode: 194 });
    assert.equal(executionsOf(run), 1);
  });

  it('runs a plugin once though a reboot makes the agent start its script again', async () => {
    const run = start('sleep 86400');
    await isRunning(run);
    await eventually(() => aws.instance(WEB).processes().length > 4, { label: 'the plugin to run' });
    aws.instance(WEB).agent.reboot();
    const ending = await run.ending;
    assert(ending.kind === 'lost', JSON.stringify(ending));
    assert.match(ending.reason, /started anew/);
    assert.equal(executionsOf(run), 2);
  });

  it('says that a result is too large instead of giving a part of it, and counts what is missing of a log', async () => {
    const dropped: number[] = [];
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    const ending = await open().run(
      commandFor(target(), 'head -c 90000 /dev/urandom; head -c 90000 /dev/urandom >&2'),
      {
        started: () => undefined,
        stdout: (chunk) => void out.push(chunk),
        stderr: (chunk) => void err.push(chunk),
        stderrDropped: (bytes) => void dropped.push(bytes),
      },
      quiet,
    );
    assert(ending.kind === 'ended');
    assert.ok((ending.resultCut?.fromBytes ?? 0) >= 90_000);
    assert.ok(Buffer.concat(out).length > 4_000);
    const [missing = 0] = dropped;
    assert.equal(missing + Buffer.concat(err).length >= 90_000, true);
  });

  it('adopts a run that another process has sent, and sends nothing itself', async () => {
    const command = commandFor(target(), 'sleep 1; echo done');
    const first = runPlugin(open(), command);
    await isRunning(first);
    const sends = aws.record.calls('SendCommand').length;
    const out: Buffer[] = [];
    const sink = {
      started: () => undefined,
      stdout: (chunk: Buffer) => void out.push(chunk),
      stderr: () => undefined,
    };
    const ending = await open().adopt?.(command, sink, quiet, new Date());
    assert.equal(ending?.kind, 'ended');
    assert.equal(Buffer.concat(out).toString(), 'done\n');
    assert.equal(aws.record.calls('SendCommand').length, sends);
    await first.ending;
    assert.equal(executionsOf(first), 1);
  });

  describe('with several runs of one dispatch group', () => {
    /** Starts one on each of two instances, each with an input of its own. */
    const startBoth = (script: string): readonly [PluginRun, PluginRun] => {
      const transport = open();
      const dispatchGroup = newId();
      const begin = (instanceId: string): PluginRun =>
        runPlugin(
          transport,
          commandFor(target({ instanceId }), script, { dispatchGroup, input: `{"on":"${instanceId}"}` }),
        );
      return [begin(WEB), begin(DB)];
    };

    it('sends one command, and gives each its own script, input, output and end', async () => {
      const sends = aws.record.calls('SendCommand').length;
      const runs = startBoth(`read -r input; echo "$RUNE_RUN_ID $input"; [[ $input != *${DB}* ]] || exit 7`);
      const endings = await Promise.all(runs.map((run) => run.ending));
      assert.deepEqual(
        endings.map((ending) => ending.kind === 'ended' && ending.end),
        [{ exitCode: 0 }, { exitCode: 7 }],
      );
      assert.deepEqual(
        runs.map((run) => run.stdout()),
        [`${runs[0].runId} {"on":"${WEB}"}\n`, `${runs[1].runId} {"on":"${DB}"}\n`],
      );
      assert.equal(aws.record.calls('SendCommand').length, sends + 1);
    });

    it('cancels the one that is to stop and lets the other end', async () => {
      const path = `/tmp/rune-ssm-${randomUUID()}`;
      const [stopped, other] = startBoth(
        `read -r input; if [[ $input = *${WEB}* ]]; then : >${path}; sleep 86400; fi; until [ -f ${path}.go ]; do sleep 0.1; done`,
      );
      await eventually(() => existsSync(path), { label: 'the plugin to run' });
      stopped.stop(StopReason.CANCEL);
      const ending = await stopped.ending;
      assert(ending.kind === 'ended', JSON.stringify(ending));
      assert.deepEqual([ending.stopReason, ending.confirmed], [StopReason.CANCEL, true]);
      await writeFile(`${path}.go`, '');
      const otherEnding = await other.ending;
      assert(otherEnding.kind === 'ended', JSON.stringify(otherEnding));
      assert.deepEqual([otherEnding.end, otherEnding.stopReason], [{ exitCode: 0 }, undefined]);
      await Promise.all([rm(path), rm(`${path}.go`)]);
    });

    it('finds and adopts each by itself, also after a send whose fate is unknown', async () => {
      const dispatchGroup = newId();
      const commands = [WEB, DB].map((instanceId) =>
        commandFor(target({ instanceId }), 'sleep 1; echo "$RUNE_RUN_ID"', { dispatchGroup }),
      );
      aws.faults.inject({ call: 'SendCommand', kind: 'answer-lost' });
      const sends = aws.record.calls('SendCommand').length;
      const [sender, adopter] = [open(), open()];
      const run = (...of: Parameters<Transport['run']>): Promise<NodeEnding> =>
        adopter.adopt?.(...of, new Date()) as Promise<NodeEnding>;
      const first = commands.map((command) => runPlugin(sender, command));
      await isRunning(first[0] as PluginRun);
      const adopted = commands.map((command) => runPlugin({ run }, command));
      for (const each of [...first, ...adopted]) {
        assert.equal((await each.ending).kind, 'ended');
        assert.equal(each.stdout(), `${each.runId}\n`);
      }
      assert.equal(aws.record.calls('SendCommand').length, sends + 1);
    });

    it('runs those that can run when the service refuses the command for one of them', async () => {
      const dispatchGroup = newId();
      const transport = open();
      const begin = (instanceId: string): PluginRun =>
        runPlugin(transport, commandFor(target({ instanceId }), 'echo here', { dispatchGroup }));
      const [fine, gone] = [begin(WEB), begin('i-0000000000000000f')];
      assert.equal((await refusalOf(gone)).name, 'SSM_INSTANCE_UNKNOWN');
      assert.equal((await fine.ending).kind, 'ended');
      assert.equal(executionsOf(fine), 1);
    });
  });

  it('says that a run is lost of which no command can be found to adopt', async () => {
    const sink = { started: () => undefined, stdout: () => undefined, stderr: () => undefined };
    const ending = await open({ ssmFindWaitMs: 300 }).adopt?.(
      commandFor(target(), 'echo x'),
      sink,
      quiet,
      new Date(),
    );
    assert.equal(ending?.kind, 'lost');
  });

  it('assumes the role of a node, if its own configuration lists it', async () => {
    const far = target({ instanceId: FAR, roleArn: ROLE });
    const run = runPlugin(open(), commandFor(far, 'echo there'));
    assert.equal((await run.ending).kind, 'ended');
    assert.equal(run.stdout(), 'there\n');
    const denied = runPlugin(open(), commandFor(target({ roleArn: DENIED_ROLE }), 'echo never'));
    assert.equal((await refusalOf(denied)).name, 'SSM_ACCESS_DENIED');
    const unlisted = runPlugin(open({ ssmRoles: [] }), commandFor(far, 'echo never'));
    assert.equal((await refusalOf(unlisted)).name, 'CREDENTIAL_NOT_ALLOWED');
  });

  it('probes by asking for the agent, and runs nothing', async () => {
    const transport = open();
    const sends = aws.record.calls('SendCommand').length;
    const online = await transport.probe(target(), 5_000, quiet);
    assert.equal(online.error, undefined);
    assert.equal(online.ssmAgent?.pingStatus, 'Online');
    aws.instance(WEB).disconnect();
    const offline = await transport.probe(target(), 5_000, quiet);
    assert.equal(offline.error?.errorData?.name, 'SSM_NOT_DELIVERED');
    const unknown = await transport.probe(target({ instanceId: 'i-0000000000000000f' }), 5_000, quiet);
    assert.equal(unknown.error?.errorData?.name, 'SSM_INSTANCE_UNKNOWN');
    aws.faults.inject({ kind: 'denied', times: 10 });
    const denied = await transport.probe(target(), 5_000, quiet);
    assert.equal(denied.error?.errorData?.name, 'SSM_ACCESS_DENIED');
    assert.equal(aws.record.calls('SendCommand').length, sends);
  });
});
