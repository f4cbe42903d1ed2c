import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { linesGiven } from '../../../services/lmm/transports/ssm/node-script.js';
import { createSendTogether, type SendRun } from '../../../services/lmm/transports/ssm/send-together.js';
import { createSsmAccess } from '../../../services/lmm/transports/ssm/ssm-access.js';
import {
  SsmFault,
  type SsmApi,
  type SsmCommand,
  type SsmListedCommand,
} from '../../../services/lmm/transports/ssm/ssm-api.js';
import type { SentCommand } from '../../../services/lmm/transports/ssm/send-command.js';
import type { NodeCommand } from '../../../services/lmm/transports/transport.js';
import { StopReason } from '../../../services/shared/gen/rune/v1/run.js';
import { nodeOf } from '../../support/links.js';
import { commandFor, type PluginChanges } from '../../support/run-plugin.js';
import { createTestClock, type TestClock } from './test-clock.js';

const GROUP = '0193a1c0-0000-7000-8000-000000000000.0';
const GROUP_WAIT_MS = 50;
const instance = (index: number): string => `i-0123456789abc${String(index).padStart(4, '0')}`;

/** What became of one run that was to be sent. */
interface Sent {
  readonly command: NodeCommand;
  readonly fate: Promise<SentCommand | Error>;
  stop(): void;
}

/** A sender, and a service that takes every command unless `onSend` throws. */
interface World {
  readonly clock: TestClock;
  readonly taken: SsmCommand[];
  readonly listed: SsmListedCommand[];
  onSend: (command: SsmCommand) => void | Promise<void>;
  /** Starts to send a run to the instance with that number. */
  send(index: number, changes?: PluginChanges & { readonly plugin?: string }): Sent;
}

function makeWorld({ groupWaitMs = GROUP_WAIT_MS, requestsPerSecond = 1000 } = {}): World {
  const clock = createTestClock();
  const taken: SsmCommand[] = [];
  const listed: SsmListedCommand[] = [];
  const api = {
    async send(command: SsmCommand) {
      await world.onSend(command);
      taken.push(command);
      return `command-${taken.length}`;
    },
    commands: async () => ({ items: listed, nextToken: undefined }),
  } as unknown as SsmApi;
  const access = createSsmAccess({
    api,
    requestsPerSecond,
    clock,
    random: () => 0.5,
    watch: { pollFirstMs: 500, pollMaxMs: 10_000, findWaitMs: 5_000 },
  });
  const sendRun: SendRun = createSendTogether(
    access,
    {
      sendWaitMs: 120_000,
      findWaitMs: 5_000,
      document: 'AWS-RunShellScript',
      deliverySeconds: 60,
      script: { form: 'commands', bytesMax: 48 * 1024, wholeBytesMax: 0 },
      outputBucket: undefined,
      groupWaitMs,
    },
    clock,
  );
  const world: World = {
    clock,
    taken,
    listed,
    onSend: () => undefined,
    send(index, { plugin = 'exit 0', ...changes } = {}) {
      const target = nodeOf({ kind: 'ssm', url: '', region: 'eu-central-1', instanceIds: [instance(index)] });
      const command = commandFor(target, plugin, { dispatchGroup: GROUP, ...changes });
      const stopper = new AbortController();
      const fate = sendRun({
        command,
        instanceId: instance(index),
        executionSeconds: 30,
        stop: stopper.signal,
      }).catch((error: unknown) => error as Error);
      return { command, fate, stop: () => stopper.abort(StopReason.CANCEL) };
    },
  };
  return world;
}

const many = (world: World, count: number): Sent[] =>
  Array.from({ length: count }, (_, index) => world.send(index));
const nameOf = async ({ fate }: Sent): Promise<string> => {
  const ended = await fate;
  return ended instanceof Error ? ended.name : (ended.commandId ?? 'unknown');
};
const namesOf = (all: readonly Sent[]): Promise<string[]> => Promise.all(all.map(nameOf));
const instancesOf = ({ taken }: World): number[] => taken.map(({ instanceIds }) => instanceIds.length);
/** Runs that the script of a command holds. */
const held = ({ parameters }: SsmCommand, all: readonly Sent[]): number =>
  all.filter(({ command }) => linesGiven(parameters).includes(`\n${command.runId} `)).length;

describe('sending the runs of a dispatch group over Systems Manager', () => {
  it('takes one command for those that come within groupWait, and the runs are known by it', async () => {
    const world = makeWorld();
    const all = many(world, 20);
    await world.clock.pass(GROUP_WAIT_MS);
    assert.deepEqual(new Set(await namesOf(all)), new Set(['command-1']));
    const [command] = world.taken as [SsmCommand];
    assert.equal(command.comment, `RUNE group ${GROUP}`);
    assert.equal(held(command, all), 20);
    const late = world.send(20);
    await world.clock.pass(GROUP_WAIT_MS);
    assert.equal(await nameOf(late), 'command-2');
  });

  it('carries a run that stays alone as one without a group, and waits for nobody without one', async () => {
    const world = makeWorld();
    const alone = world.send(0);
    await world.clock.pass(GROUP_WAIT_MS);
    assert.equal(await nameOf(alone), 'command-1');
    assert.equal(world.taken[0]?.comment, `RUNE run ${alone.command.runId}`);
    const none = makeWorld({ groupWaitMs: 0 });
    const ungrouped = none.send(0);
    assert.equal(await nameOf(ungrouped), 'command-1');
  });

  it('sends 50 at once without waiting, and what is beyond apart', async () => {
    const world = makeWorld();
    const all = many(world, 70);
    await world.clock.pass(0);
    assert.deepEqual(instancesOf(world), [50]);
    await world.clock.pass(GROUP_WAIT_MS);
    assert.deepEqual(instancesOf(world), [50, 20]);
    assert.equal((await namesOf(all)).length, 70);
  });

  it('lets those go with a command that come while it waits for its turn among all requests', async () => {
    const world = makeWorld({ requestsPerSecond: 1 });
    const early = world.send(0);
    await world.clock.pass(GROUP_WAIT_MS);
    assert.equal(await nameOf(early), 'command-1');
    const all: Sent[] = [];
    for (let index = 1; index <= 8; index += 1) {
      all.push(world.send(index));
      await world.clock.pass(2 * GROUP_WAIT_MS);
    }
    all[0]?.stop();
    await world.clock.pass(1_000);
    assert.equal(await nameOf(all[0] as Sent), 'RUN_CANCELLED');
    assert.deepEqual(new Set(await namesOf(all.slice(1))), new Set(['command-2']));
    const late = world.send(9);
    await world.clock.pass(2_000);
    assert.equal(await nameOf(late), 'command-3');
  });

  it('splits those that one command cannot carry, until it can', async () => {
    const world = makeWorld();
    const all = Array.from({ length: 50 }, (_, index) =>
      world.send(index, { input: JSON.stringify({ noise: randomBytes(1_000).toString('base64') }) }),
    );
    await world.clock.pass(GROUP_WAIT_MS);
    await namesOf(all);
    assert.deepEqual(
      instancesOf(world).toSorted((one, other) => one - other),
      [12, 12, 13, 13],
    );
    assert.equal(new Set(world.taken.flatMap(({ instanceIds }) => instanceIds)).size, 50);
    for (const { parameters } of world.taken) assert.ok(linesGiven(parameters).length <= 48 * 1024);
    const huge = [world.send(0), world.send(1, { input: randomBytes(60_000).toString('base64') })];
    await world.clock.pass(GROUP_WAIT_MS);
    assert.deepEqual(await namesOf(huge), ['command-5', 'SSM_COMMAND_TOO_LARGE']);
  });

  it('never puts two runs into one command that differ in more than node and input, or have one instance', async () => {
    const world = makeWorld();
    const all = [
      world.send(0),
      world.send(1, { plugin: 'exit 1' }),
      world.send(2, { timeoutMs: 11_000 }),
      world.send(3, { runAs: { user: 'deploy', become: 'sudo' } }),
      world.send(4, { dispatchGroup: 'another' }),
      world.send(0),
      world.send(5),
    ];
    await world.clock.pass(GROUP_WAIT_MS);
    const names = await namesOf(all);
    assert.equal(new Set(names).size, 6);
    assert.equal(names[5], names[6]);
    assert.deepEqual(
      instancesOf(world).toSorted((one, other) => one - other),
      [1, 1, 1, 1, 1, 2],
    );
  });

  it('leaves out a run that is cancelled before its command is sent, also between two tries', async () => {
    const world = makeWorld();
    let tries = 0;
    world.onSend = () => {
      tries += 1;
      if (tries === 1) throw new SsmFault('throttled', 'ThrottlingException', '');
    };
    const all = many(world, 4);
    all[0]?.stop();
    assert.equal(await nameOf(all[0] as Sent), 'RUN_CANCELLED');
    await world.clock.pass(GROUP_WAIT_MS);
    assert.equal(tries, 1);
    all[1]?.stop();
    assert.equal(await nameOf(all[1] as Sent), 'RUN_CANCELLED');
    await world.clock.pass(10_000);
    assert.deepEqual(await namesOf(all.slice(2)), ['command-1', 'command-1']);
    const [command] = world.taken as [SsmCommand];
    assert.deepEqual(command.instanceIds, [instance(2), instance(3)]);
    assert.equal(held(command, all), 2);
  });

  it('says of a run that is cancelled while its command is being sent what became of the command', async () => {
    const world = makeWorld();
    world.onSend = () => {
      for (const run of all) run.stop();
    };
    const all = many(world, 3);
    await world.clock.pass(GROUP_WAIT_MS);
    assert.deepEqual(await namesOf(all), ['command-1', 'command-1', 'command-1']);
  });

  it('sends nothing for runs that are all cancelled while it waits for its turn', async () => {
    const world = makeWorld();
    world.onSend = () => {
      throw new SsmFault('unsent', 'ECONNREFUSED', '');
    };
    const all = many(world, 3);
    await world.clock.pass(GROUP_WAIT_MS);
    for (const run of all) run.stop();
    await world.clock.pass(60_000);
    assert.deepEqual(await namesOf(all), ['RUN_CANCELLED', 'RUN_CANCELLED', 'RUN_CANCELLED']);
    assert.deepEqual(world.taken, []);
  });

  it('sends those again that the service did not name when it refused a command for some of them', async () => {
    const world = makeWorld();
    const bad = [instance(3), instance(7)];
    let tries = 0;
    world.onSend = ({ instanceIds }) => {
      tries += 1;
      const wrong = instanceIds.filter((id) => bad.includes(id));
      if (wrong.length > 0)
        throw new SsmFault(
          'refused',
          'InvalidInstanceId',
          `Instances [[${wrong.join(', ')}]] not in a valid state`,
        );
    };
    const all = many(world, 10);
    await world.clock.pass(GROUP_WAIT_MS);
    const names = await namesOf(all);
    assert.deepEqual(
      names.map((name) => name === 'SSM_INSTANCE_UNKNOWN'),
      all.map((_, index) => index === 3 || index === 7),
    );
    assert.deepEqual(instancesOf(world), [8]);
    assert.equal(tries, 4);
  });

  it('sends each alone when the service refuses a command and does not say for whom', async () => {
    const world = makeWorld();
    world.onSend = ({ instanceIds }) => {
      if (instanceIds.includes(instance(2))) throw new SsmFault('refused', 'AccessDeniedException', 'no');
    };
    const all = many(world, 4);
    await world.clock.pass(GROUP_WAIT_MS);
    const names = await namesOf(all);
    assert.equal(names[2], 'SSM_ACCESS_DENIED');
    assert.deepEqual(instancesOf(world), [1, 1, 1]);
  });

  it('tells every run what the service refuses for all of them, and tries no more', async () => {
    const world = makeWorld();
    let tries = 0;
    world.onSend = () => {
      tries += 1;
      throw new SsmFault('refused', 'InvalidDocument', 'no such document');
    };
    const all = many(world, 4);
    await world.clock.pass(GROUP_WAIT_MS);
    assert.deepEqual(new Set(await namesOf(all)), new Set(['SSM_DOCUMENT_UNUSABLE']));
    assert.equal(tries, 1);
  });

  it('finds the command again for all runs of a send whose fate is unknown, among others of the group', async () => {
    const world = makeWorld();
    let tries = 0;
    world.onSend = ({ comment, parameters }) => {
      const script = linesGiven(parameters);
      tries += 1;
      const other = script.replaceAll(all[0]?.command.runId ?? '', 'another-run');
      world.listed.push({ commandId: 'of-others', comment, script: other });
      world.listed.push({ commandId: 'ours', comment, script });
      throw new SsmFault('unknown', 'ECONNRESET', '');
    };
    const all = many(world, 5);
    await world.clock.pass(GROUP_WAIT_MS);
    assert.deepEqual(new Set(await namesOf(all)), new Set(['ours']));
    assert.equal(tries, 1);
  });

  it('sends nothing a second time when the command of an unknown send cannot be found', async () => {
    const world = makeWorld();
    let tries = 0;
    world.onSend = () => {
      tries += 1;
      throw new SsmFault('unknown', 'ECONNRESET', '');
    };
    const all = many(world, 5);
    await world.clock.pass(60_000);
    assert.deepEqual(new Set(await namesOf(all)), new Set(['unknown']));
    assert.equal(tries, 1);
  });
});
