import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ExecutionState, RunState } from '../../services/shared/gen/rune/v1/run.js';
import {
  DeregisterModuleRequest,
  ListModulesRequest,
  RegisterModuleRequest,
  type RegisteredModule,
} from '../../services/shared/gen/rune/v1/registry.js';
import { newId } from '../../services/shared/messages/ids.js';
import { startBadLinks } from '../support/bad-link.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { bundleOf, bundleRequest, registrationIdOf } from '../support/module-requests.js';
import { startRegistryWorld, type Orchestrator, type RegistryWorld } from '../support/registry-world.js';
import type { ServiceProcess } from '../support/service-process.js';
import { startSteadyLoad, type LoadResult, type SteadyLoad } from '../support/steady-load.js';

const NODES = 12;
const AT_ONCE = 3;
/** How often each part of the rolling restart is done; `REGISTRY_ROUNDS=20` is a long one. */
const ROUNDS = Number(process.env['REGISTRY_ROUNDS'] ?? 1);
const STORM = 200;
const SLOW_TEST_MS = 600_000;

describe('mediators that register', () => {
  let world: RegistryWorld;
  /** Those that live. */
  let mediators: ServiceProcess[];

  before(async () => {
    world = await startRegistryWorld(NODES);
    mediators = [];
  });
  after(() => world.stop());

  const lom = (index = 0): Orchestrator => world.loms[index] as Orchestrator;
  const join3 = async (): Promise<void> => {
    while (mediators.length < 3) mediators.push(await world.startMediator());
  };
  const load = (fields: { action?: string; nodes?: readonly string[] } = {}): SteadyLoad =>
    startSteadyLoad({
      addresses: world.loms.map(({ process }) => process.address),
      nodes: world.nodes,
      atOnce: AT_ONCE,
      appended: world.appended,
      runMs: 20,
      ...fields,
    });
  const checkLoad = ({ states, failures, wrong }: LoadResult): void => {
    assert.deepEqual(failures, []);
    assert.deepEqual(wrong, []);
    assert.deepEqual(Object.keys(states), ['SUCCEEDED']);
  };

  /** Where the next run of each node would go, as an orchestrator sees it. */
  const placement = async (of = lom()): Promise<ReadonlyMap<string, string>> => {
    const params = { path: world.appended, lines: 0, pause_ms: 0 };
    const plan = await of.client.planExecution({
      action: 'append-run',
      targets: { nodes: [...world.nodes] },
      params,
    });
    return new Map(plan.runs.map(({ node, mediator }) => [node, mediator]));
  };
  const troubles = async (of = lom(), node = 'node-0'): Promise<ReadonlyMap<string, string>> => {
    const params = { path: world.appended, lines: 0, pause_ms: 0 };
    const { runs } = await of.client.planExecution({
      action: 'append-run',
      targets: { nodes: [node] },
      params,
    });
    return new Map(runs[0]?.mediators.map(({ address, trouble }) => [address, trouble]));
  };
  const runEverywhere = async (): Promise<void> => {
    const params = { path: world.appended, lines: 0, pause_ms: 0 };
    let state: ExecutionState = ExecutionState.UNSPECIFIED;
    const request = { action: 'append-run', targets: { nodes: [...world.nodes] }, params };
    for await (const { event } of lom().client.run(request))
      if (event?.$case === 'execution') state = event.value.state;
    assert.equal(state, ExecutionState.SUCCEEDED);
  };
  const channels = (modules: readonly RegisteredModule[]): { opened: number; warm: number } => ({
    opened: modules.reduce((sum, { load: of }) => sum + (of?.connections?.channelsOpened ?? 0), 0),
    warm: modules.reduce((sum, { load: of }) => sum + (of?.connections?.channelsOnWarm ?? 0), 0),
  });
  /** Runs on every node; resolves with how many runs found a connection that was there. */
  const warmRuns = async (): Promise<number> => {
    const before = channels(await world.mediators());
    await runEverywhere();
    const after = await eventually(
      async () => {
        const now = channels(await world.mediators());
        return now.opened - before.opened >= NODES && now;
      },
      { label: 'the heartbeats that count these runs', pauseMs: 100 },
    );
    assert.equal(after.opened - before.opened, NODES);
    return after.warm - before.warm;
  };

  it('get the nodes of their zone, and one that joins takes over its fair share and no more', async () => {
    mediators.push(await world.startMediator(), await world.startMediator());
    await runEverywhere();
    // One run whose mediator was late with a heartbeat goes elsewhere, once.
    await eventually(async () => (await warmRuns()) === NODES, {
      label: 'every connection to be used again',
    });
    const before = await placement();
    assert.deepEqual(new Set(before.values()), new Set(mediators.map(({ address }) => address)));
    mediators.push(await world.startMediator());
    const now = await placement();
    assert.deepEqual(await placement(lom(1)), now, 'both orchestrators choose the same');
    const moved = world.nodes.filter((name) => before.get(name) !== now.get(name));
    assert.ok(moved.every((name) => now.get(name) === mediators[2]?.address));
    // Which ports are given is chance, so that only what can never be is refused here; the figures are in the unit test.
    assert.ok(moved.length < NODES * 0.8, `${moved.length} of ${NODES} nodes moved`);
    assert.equal(await warmRuns(), NODES - moved.length, 'only nodes that moved need a new connection');
    await eventually(async () => (await warmRuns()) === NODES, {
      label: 'the new connections to be used too',
    });
  });

  it('that are killed cost at most the runs that they had, and no later ones', async () => {
    await join3();
    const steady = load();
    await steady.more(6);
    const [killed] = mediators.splice(0, 1);
    killed?.kill('SIGKILL');
    await killed?.exited;
    // Those that ran there are looked for: the others go on.
    await steady.more(0);
    // The process that takes its address does not have them, which proves that they are lost.
    mediators.push(await world.startMediator({ listen: killed?.address ?? '' }));
    await steady.more(6);
    const { states, wrong } = await steady.stop();
    assert.deepEqual(wrong, []);
    const others = Object.keys(states).filter((state) => state !== 'SUCCEEDED' && state !== 'LOST');
    assert.deepEqual(others, []);
    assert.ok((states['LOST'] ?? 0) <= AT_ONCE, JSON.stringify(states));
    const after = load();
    await after.more(6);
    checkLoad(await after.stop());
  });

  it('that stand still get nothing until they are heard of again', async () => {
    await join3();
    const [frozen] = mediators;
    const address = frozen?.address ?? '';
    const own = [...(await placement())].flatMap(([name, mediator]) => (mediator === address ? [name] : []));
    frozen?.kill('SIGSTOP');
    for (const each of world.loms)
      await eventually(async () => (await troubles(each)).get(address)?.startsWith('silent') === true, {
        label: 'its silence',
        pauseMs: 100,
      });
    const steady = load();
    await steady.more(AT_ONCE * 2);
    checkLoad(await steady.stop());
    frozen?.kill('SIGCONT');
    await eventually(async () => (await troubles()).get(address) === '', {
      label: 'its return',
      pauseMs: 100,
    });
    const back = await placement();
    for (const name of own) assert.equal(back.get(name), address, `${name} does not go back`);
  });

  it('of a zone with none left are waited for', async () => {
    const only = await world.startMediator({ zone: 'far' });
    assert.equal(await only.stop(), 0);
    const steady = load({ nodes: [world.farNode] });
    const next = await world.startMediator({ zone: 'far' });
    await steady.more(3);
    checkLoad(await steady.stop());
    assert.equal(await next.stop(), 0);
  });

  it('of a zone that is cut off keep their runs, which are found again; other zones go on', async () => {
    await join3();
    const port = await freePort();
    const ports = [...world.loms.map(({ process }) => process.address), `127.0.0.1:${port}`].map((address) =>
      Number(address.split(':')[1]),
    );
    let isCut = false;
    const links = await startBadLinks({
      // 127.0.0.2 and 127.0.0.3 lead to the orchestrators, 127.0.0.4 to the mediator.
      route: (address) => ({ host: '127.0.0.1', port: ports[Number(address.split('.')[3]) - 2] ?? 0 }),
      onLink: (link) => isCut && link.stall(Infinity),
    });
    const advertise = `127.0.0.4:${links.port}`;
    try {
      const mediator = await world.startMediator({
        zone: 'far',
        listen: `127.0.0.1:${port}`,
        advertise,
        lomAddresses: [`127.0.0.2:${links.port}`, `127.0.0.3:${links.port}`],
      });
      const params = { path: world.appended, lines: 2, pause_ms: 1_000 };
      const request = { action: 'append-run', targets: { nodes: [world.farNode] }, params };
      const watched = lom().client.run(request)[Symbol.asyncIterator]();
      const until = async (
        isIt: (event: Awaited<ReturnType<typeof watched.next>>) => boolean,
      ): Promise<void> => {
        for (let step = await watched.next(); !isIt(step); step = await watched.next())
          assert.ok(step.done !== true, 'the execution ended before');
      };
      await until(({ value }) => value?.event?.$case === 'state' && value.event.value === RunState.RUNNING);
      isCut = true;
      for (const link of links.links()) link.stall(Infinity);
      const steady = load();
      for (const each of world.loms)
        await eventually(
          async () => (await troubles(each, world.farNode)).get(advertise)?.startsWith('silent') === true,
          {
            label: 'its silence',
            pauseMs: 100,
          },
        );
      await steady.more(AT_ONCE * 2);
      checkLoad(await steady.stop());
      isCut = false;
      for (const link of links.links()) link.destroy();
      let state: ExecutionState = ExecutionState.UNSPECIFIED;
      await until(({ value, done }) => {
        if (value?.event?.$case === 'execution') state = value.event.value.state;
        return done === true;
      });
      assert.equal(state, ExecutionState.SUCCEEDED);
      await eventually(async () => (await troubles(lom(), world.farNode)).get(advertise) === '', {
        label: 'its return',
        pauseMs: 100,
      });
      assert.equal(await mediator.stop(), 0);
    } finally {
      await links.close();
    }
  });

  it('go on with the actions of a bundle that is deregistered meanwhile, also on nodes whose turn comes later', async () => {
    await join3();
    const release = join(world.directory, 'release');
    const content = bundleOf('brief', '1.0.0', 'await-release');
    const script = Buffer.from(
      `#!/bin/bash\nrune_init\nwhile [[ ! -e ${release} ]]; do sleep 0.05; done\nrune_ok "released"\n`,
    );
    const files = content.files.map((file) =>
      file.path.endsWith('.sh') ? { ...file, content: script } : file,
    );
    const { module } = await lom().registry.registerModule(bundleRequest({ files }));
    const request = {
      action: 'await-release',
      targets: { nodes: world.nodes.slice(0, 2) },
      rollout: { maxParallel: 1 },
    };
    let state: ExecutionState = ExecutionState.UNSPECIFIED;
    let isEnded = false;
    for await (const { event } of lom().client.run(request)) {
      if (event?.$case === 'execution') state = event.value.state;
      if (isEnded || event?.$case !== 'state' || event.value !== RunState.RUNNING) continue;
      isEnded = true;
      const registrationId = registrationIdOf(module);
      await lom().registry.deregisterModule(DeregisterModuleRequest.fromPartial({ registrationId }));
      await assert.rejects(lom().client.planExecution(request), { name: 'ACTION_NOT_FOUND' });
      await writeFile(release, '');
    }
    assert.deepEqual([isEnded, state], [true, ExecutionState.SUCCEEDED]);
  });

  it('and orchestrators are replaced one after the other under load, bundles change, and nothing fails or is lost', async function () {
    this.timeout(SLOW_TEST_MS);
    await join3();
    const manifest = join(world.bundle, 'append-run', 'manifest.yaml');
    const text = await readFile(manifest, 'utf8');
    const versionAt = async (index: number): Promise<string | undefined> =>
      (await lom(index).client.getAction({ action: 'append-run' })).action?.version;
    const steady = load();
    for (let round = 1; round <= ROUNDS; round += 1) {
      for (const old of mediators.splice(0)) {
        mediators.push(await world.startMediator());
        await steady.more(AT_ONCE);
        assert.equal(await old.stop(), 0);
        // It told one of the orchestrators; the other one reads it from the store.
        await eventually(
          async () => (await troubles()).get(old.address)?.startsWith('left when it had finished'),
          { label: 'its leaving', pauseMs: 100 },
        );
      }
      await writeFile(manifest, text.replace('risk: read_only', 'risk: none'));
      await eventually(
        () =>
          lom().process.log.some(
            (line) => line.includes('the old ones stay') && line.includes('manifest.yaml'),
          ),
        { label: 'why the broken bundle is not taken', pauseMs: 100 },
      );
      await steady.more(AT_ONCE);
      assert.notEqual(await versionAt(0), undefined);
      const version = `1.0.${round}`;
      await writeFile(manifest, text.replace('version: 1.0.0', `version: ${version}`));
      for (const index of world.loms.keys())
        await eventually(async () => (await versionAt(index)) === version, {
          label: 'the new version',
          pauseMs: 100,
        });
      for (const index of world.loms.keys()) {
        assert.equal(await lom(index).process.stop(), 0);
        await steady.more(AT_ONCE);
        await world.restartLom(index);
        await steady.more(AT_ONCE);
      }
    }
    checkLoad(await steady.stop());
  });

  it('come in a storm and are all known to every orchestrator', async () => {
    const names = Array.from({ length: STORM }, () => `storm-${newId()}`);
    const registered = await Promise.all(
      names.map((name, index) =>
        lom(index % 2).registry.registerModule(
          RegisterModuleRequest.fromPartial({
            registration: {
              moduleIdentity: { moduleName: name, moduleVersion: '1.0.0', moduleType: 2 },
              capabilityDeclaration: {
                serviceMetadata: {
                  address: `192.0.2.1:${index + 1}`,
                  zone: 'storm',
                  transports: ['ssh'],
                  maxConcurrentRuns: 1,
                  lmmInstanceId: name,
                },
              },
            },
          }),
        ),
      ),
    );
    assert.equal(
      new Set(registered.map(({ module }) => module?.registration?.moduleIdentity?.moduleName)).size,
      STORM,
    );
    const request = ListModulesRequest.fromPartial({ pageSize: 1000 });
    for (const each of world.loms)
      await eventually(
        async () => {
          const { modules } = await each.registry.listModules(request);
          const known = new Set(modules.map(({ registration }) => registration?.moduleIdentity?.moduleName));
          return names.every((name) => known.has(name));
        },
        { label: 'all of them', pauseMs: 200 },
      );
  });
});
