import assert from 'node:assert/strict';
import { createDispatcher, type Dispatcher } from '../../../services/lom/dispatch/dispatch.js';
import { MEDIATOR_SERVICE } from '../../../services/lom/dispatch/mediated-message.js';
import type { RunIdentity } from '../../../services/lom/dispatch/run-identity.js';
import {
  chooseMediator,
  configuredMediators,
  createMediators,
} from '../../../services/lom/mediators/mediators.js';
import type { Plan, PlannedRun } from '../../../services/lom/plan/plan.js';
import type { Action } from '../../../services/shared/bundle/action.js';
import { ParameterInput } from '../../../services/shared/gen/rune/v1/lmm.js';
import { ActionCapability } from '../../../services/shared/gen/rune/v1/mrs.js';
import { acceptHeader } from '../../../services/shared/messages/header.js';
import { newId } from '../../../services/shared/messages/ids.js';
import { RuneError } from '../../../services/shared/errors.js';
import { createRpcClient } from '../../../services/shared/rpc/rpc-client.js';
import { eventually } from '../../support/eventually.js';
import { freePort } from '../../support/free-port.js';
import { serveMediator, type MediatorServer } from '../../support/mediator-server.js';
import { planOf } from '../../support/recorded-execution.js';
import { recordingLogger } from '../../support/recording-logger.js';
import { mediatorWith, sha256 } from '../../support/scripted-mediator.js';
import { untilStopped } from '../../support/scripted-transport.js';

const SETTINGS = {
  mediatorConnectTimeoutMs: 1_000,
  orphanAfterMs: 1_000,
  streamMarginMs: 1_000,
  ackDelayMs: 1,
  knownForMs: 60_000,
};
const NOTHING = Buffer.alloc(0);
const SCRIPT = Buffer.from('echo hello\n');

/** A plan for one run, and the run. */
function plannedRun(): { readonly plan: Plan; readonly run: PlannedRun } {
  const plan = planOf(['web01'], {
    action: {
      capability: ActionCapability.fromPartial({ action: 'noop', digest: 'd' }),
      script: SCRIPT,
      scriptSha256: sha256(SCRIPT),
      librarySha256: '',
      library: NOTHING,
      files: [],
      parameterInput: ParameterInput.UNSPECIFIED,
    } as unknown as Action,
  });
  const [first] = plan.runs;
  assert(first);
  return { plan, run: { ...first, transport: 'scripted' } };
}

const newRun = (): RunIdentity => ({
  executionId: newId(),
  runId: newId(),
  attempt: 1,
  triggeredBy: 'test',
  header: acceptHeader(undefined, { identity: 'test', nowMs: Date.now() }),
  epoch: 1,
  dispatchGroup: '',
});

describe('a run that is sent to a mediator', () => {
  it('which ended just then is known not to have arrived, so that another one may have it', async () => {
    const address = `127.0.0.1:${await freePort()}`;
    const dispatcher = createDispatcher(
      // As it is in the moment in which the other end is gone and this one has not heard of it.
      (to) => ({
        ...createRpcClient(MEDIATOR_SERVICE, { address: to }),
        waitForReady: async () => undefined,
      }),
      SETTINGS,
      recordingLogger().logger,
    );
    const { plan, run } = plannedRun();
    const placement = { address, instanceId: newId() };
    try {
      const messages = dispatcher.start(placement, plan, run, newRun(), new AbortController().signal);
      await assert.rejects(messages.next(), { name: 'MEDIATOR_UNAVAILABLE' });
    } finally {
      dispatcher.close();
    }
  });

  it('which is full brings the time after which that one may be asked again; others are used until then', async () => {
    const servers = await Promise.all(
      ['one', 'other'].map((instanceId) =>
        serveMediator(
          mediatorWith((_command, _sink, stop) => untilStopped(stop), {
            instanceId,
            settings: { runsMax: 1 },
          }),
        ),
      ),
    );
    const dispatcher = createDispatcher(
      (address) => createRpcClient(MEDIATOR_SERVICE, { address }),
      SETTINGS,
      recordingLogger().logger,
    );
    let nowMs = 1_000_000;
    const mediators = createMediators(
      () => configuredMediators(servers.map(({ address }) => ({ address, zone: '' }))),
      { nowMs: () => nowMs, random: () => 0 },
    );
    const { plan, run } = plannedRun();
    const choose = (): string => chooseMediator(mediators.candidates(run.node, run.transport))?.address ?? '';
    const full = choose();
    const stopped = new AbortController();
    const send = async (): Promise<unknown> =>
      dispatcher.start(await dispatcher.placementAt(full), plan, run, newRun(), stopped.signal).next();
    try {
      await send();
      const refused = await send().catch((thrown: unknown) => RuneError.from(thrown));
      assert.ok(refused instanceof RuneError);
      assert.deepEqual([refused.name, refused.retryAfterMs], ['MEDIATOR_FULL', 1_000]);
      mediators.refused(full, refused);
      const other = choose();
      assert.ok(other !== full && other !== '');
      nowMs += 999;
      assert.equal(choose(), other);
      nowMs += 1;
      assert.equal(choose(), full);
    } finally {
      stopped.abort();
      dispatcher.close();
      await Promise.all(servers.map((server) => server.stop()));
    }
  });
});

describe('the process that answers at an address', () => {
  const PULSE_MS = 50;
  const KNOWN_FOR_MS = 400;

  /** A mediator whose runs say something until they are stopped. */
  const serve = (instanceId: string, address?: string): Promise<MediatorServer> =>
    serveMediator(
      mediatorWith(
        async (_command, sink, stop) => {
          const pulse = setInterval(() => void sink.stderr(Buffer.from('hello\n')), PULSE_MS);
          return untilStopped(stop).finally(() => clearInterval(pulse));
        },
        { instanceId },
      ),
      {},
      address,
    );
  const dispatcherWith = (knownForMs: number): Dispatcher =>
    createDispatcher(
      (to) => createRpcClient(MEDIATOR_SERVICE, { address: to }),
      { ...SETTINGS, knownForMs },
      recordingLogger().logger,
    );

  it('is asked for again when nothing was heard of it for a while: another one may be there', async () => {
    const dispatcher = dispatcherWith(KNOWN_FOR_MS);
    let server = await serve('one');
    const { address } = server;
    try {
      assert.equal(dispatcher.knownPlacement(address), undefined);
      assert.deepEqual(await dispatcher.placementAt(address), { address, instanceId: 'one' });
      assert.deepEqual(dispatcher.knownPlacement(address), { address, instanceId: 'one' });
      await server.stop();
      server = await serve('another', address);
      await eventually(() => dispatcher.knownPlacement(address) === undefined, { label: 'it to be unknown' });
      assert.deepEqual(await dispatcher.placementAt(address), { address, instanceId: 'another' });
      assert.deepEqual(dispatcher.knownPlacement(address), { address, instanceId: 'another' });
    } finally {
      dispatcher.close();
      await server.stop();
    }
  });

  it('is known as long as it is heard, and not any more when what it said broke off', async () => {
    const dispatcher = dispatcherWith(KNOWN_FOR_MS);
    const server = await serve('one');
    const { address } = server;
    const { plan, run } = plannedRun();
    const stopped = new AbortController();
    try {
      const placement = await dispatcher.placementAt(address);
      const messages = dispatcher.start(placement, plan, run, newRun(), stopped.signal);
      const endMs = performance.now() + 1.5 * KNOWN_FOR_MS;
      while (performance.now() < endMs) assert.equal((await messages.next()).done, false);
      assert.deepEqual(dispatcher.knownPlacement(address), placement);
      stopped.abort();
      await assert.rejects(async () => {
        for await (const message of messages) assert.ok(message);
      });
      assert.equal(dispatcher.knownPlacement(address), undefined);
    } finally {
      dispatcher.close();
      await server.stop();
    }
  });
});

describe('outcomes that are acknowledged', () => {
  it('are told together, those that come meanwhile after them, and never none', async () => {
    const told: (readonly string[])[] = [];
    const placement = { address: 'm:1', instanceId: newId() };
    const dispatcher = createDispatcher(
      (address) => ({
        ...createRpcClient(MEDIATOR_SERVICE, { address }),
        ackRun({ runIds }) {
          told.push(runIds);
          if (told.length === 1) dispatcher.acknowledge(placement, 'c');
          return Promise.resolve({ header: undefined, lmmInstanceId: placement.instanceId });
        },
      }),
      SETTINGS,
      recordingLogger().logger,
    );
    try {
      for (const runId of ['a', 'b']) dispatcher.acknowledge(placement, runId);
      await eventually(() => told.length === 2, { label: 'both calls' });
      // Later than any timer that was set before.
      await new Promise((resolve) => setTimeout(resolve, SETTINGS.ackDelayMs + 1));
      assert.deepEqual(told, [['a', 'b'], ['c']]);
    } finally {
      dispatcher.close();
    }
  });
});
