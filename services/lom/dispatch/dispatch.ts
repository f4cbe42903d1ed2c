import { toDuration } from '../../shared/messages/duration.js';
import { RuneError } from '../../shared/errors.js';
import { requestHeader } from '../../shared/messages/header.js';
import type { RcsHeader } from '../../shared/gen/rune/v1/rcs.js';
import type { NodeProbe } from '../../shared/gen/rune/v1/run.js';
import type { Logger } from '../../shared/logging/logger.js';
import { NOT_CONNECTED } from '../../shared/rpc/not-connected.js';
import type { RpcClient } from '../../shared/rpc/rpc-client.js';
import { chooseMediator } from '../mediators/mediators.js';
import type { Plan, PlannedNode, PlannedRun } from '../plan/plan.js';
import type { MEDIATOR_SERVICE, MediatedMessage } from './mediated-message.js';
import type { Placement } from './placement.js';
import type { RunIdentity } from './run-identity.js';
import { createSentPlugins, type SentPlugins } from './sent-plugins.js';
import { nodeTarget, startMessage } from './start-message.js';

/** The calls that LOM makes to a mediator. */
export type MediatorClient = RpcClient<typeof MEDIATOR_SERVICE>;

/** Settings of the way from LOM to its mediators. */
export interface DispatchSettings {
  /** A mediator that cannot be reached for this long gets no run. */
  readonly mediatorConnectTimeoutMs: number;
  /** Tells the mediator how long a run may go on with nobody attached. */
  readonly orphanAfterMs: number;
  /** A stream may last this much longer than the run's own limits before it is broken off. */
  readonly streamMarginMs: number;
  /** Acknowledgements wait this long for others to the same mediator. */
  readonly ackDelayMs: number;
  /** For so long after something was heard of it, a mediator is taken for the same process without asking. */
  readonly knownForMs: number;
}

/** Takes runs to mediators. */
export interface Dispatcher {
  /** The process that answers at `address`: a moment ago or, if nothing was heard of it then, now. Throws MEDIATOR_UNAVAILABLE. */
  placementAt(address: string): Promise<Placement>;
  /** The same without asking anybody; undefined if nothing was heard of it a moment ago. */
  knownPlacement(address: string): Placement | undefined;
  /** Forgets which process answers there: another one does. */
  forget(address: string): void;
  /**
   * Starts a run there and yields its messages, until the signal aborts; or, with `adopt`, goes on there with one whose mediator is
   * gone. Before the first message, a RuneError that the mediator itself refused with (it holds an EPS message) means that nothing
   * ran, as does MEDIATOR_UNAVAILABLE: the request never left this process. After any other one the run may have been taken.
   */
  start(
    placement: Placement,
    plan: Plan,
    run: PlannedRun,
    identity: RunIdentity,
    signal: AbortSignal,
    how?: 'start' | 'adopt',
  ): AsyncGenerator<MediatedMessage, void, undefined>;
  /**
   * Yields the messages of a run that was started there, after the one numbered `afterEvent`. Ends when the signal aborts. `onFound`
   * hears that the run is there, which may be long before the first of them.
   */
  attach(
    placement: Placement,
    identity: RunIdentity,
    afterEvent: number,
    signal: AbortSignal,
    onFound: () => void,
  ): AsyncGenerator<MediatedMessage, void, undefined>;
  /** Asks the mediator to stop a run. */
  cancel(placement: Placement, identity: RunIdentity, reason: string): Promise<void>;
  /** Tells the mediator, soon, that it may forget a run. Whether it hears does not matter: it forgets by itself in time. */
  acknowledge(placement: Placement, runId: string): void;
  /** Asks the mediator that the node's next run would go to to connect to it and to run nothing. */
  probe(
    run: PlannedNode,
    connectTimeoutMs: number,
    header: RcsHeader,
    signal: AbortSignal,
  ): Promise<NodeProbe>;
  /** Closes connections to mediators that are not in use any more. */
  prune(isInUse: (address: string) => boolean): void;
  close(): void;
}

interface Mediator {
  readonly client: MediatorClient;
  /** What it has of which plugin. */
  plugins: SentPlugins;
  /** Which process answers, and when it was last heard by performance.now(). */
  known: { readonly instanceId: string; heardMs: number } | undefined;
  /** The question which one it is, while it is under way. */
  asking: Promise<string> | undefined;
  acknowledged: string[];
  ackTimer: NodeJS.Timeout | undefined;
}

/** Run ids that one acknowledgement carries at most. */
const ACKS_MAX = 1000;

/** Makes the dispatcher; `connect` opens the connection to a mediator and is called once an address. */
export function createDispatcher(
  connect: (address: string) => MediatorClient,
  settings: DispatchSettings,
  logger: Logger,
): Dispatcher {
  const mediators = new Map<string, Mediator>();

  const mediatorAt = (address: string): Mediator => {
    const known = mediators.get(address);
    if (known !== undefined) return known;
    const mediator: Mediator = {
      client: connect(address),
      plugins: createSentPlugins(),
      known: undefined,
      asking: undefined,
      acknowledged: [],
      ackTimer: undefined,
    };
    mediators.set(address, mediator);
    return mediator;
  };

  const unavailable = (address: string, cause: unknown): RuneError =>
    new RuneError('MEDIATOR_UNAVAILABLE', `The mediator at ${address} cannot be reached.`, {}, { cause });

  const ready = async (address: string): Promise<MediatorClient> => {
    const { client } = mediatorAt(address);
    await client.waitForReady(settings.mediatorConnectTimeoutMs).catch((cause: unknown) => {
      throw unavailable(address, cause);
    });
    return client;
  };

  const askInstance = async (address: string): Promise<string> => {
    const client = await ready(address);
    const header = requestHeader(undefined, 'RUNS_LIST_REQUEST', 'lom', 'lmm');
    const request = { header, executionId: '', pageSize: 1, pageToken: '' };
    let instanceId: string;
    try {
      const answer = await client.listRuns(request, { timeoutMs: settings.mediatorConnectTimeoutMs });
      instanceId = answer.lmmInstanceId;
    } catch (thrown) {
      throw unavailable(address, thrown);
    }
    const mediator = mediatorAt(address);
    if (mediator.known !== undefined && mediator.known.instanceId !== instanceId) forget(address);
    mediator.known = { instanceId, heardMs: performance.now() };
    return instanceId;
  };

  const knownPlacement = (address: string): Placement | undefined => {
    const known = mediators.get(address)?.known;
    if (known === undefined || performance.now() - known.heardMs > settings.knownForMs) return undefined;
    return { address, instanceId: known.instanceId };
  };

  /** To be called when that very process, and no other one, must have said something. */
  const hear = ({ address, instanceId }: Placement): void => {
    const known = mediators.get(address)?.known;
    if (known?.instanceId === instanceId) known.heardMs = performance.now();
  };

  /** What a process says about a run of its own; where that breaks off, another process may be there by now. */
  async function* hearing(
    placement: Placement,
    messages: AsyncIterable<MediatedMessage>,
  ): AsyncGenerator<MediatedMessage, void, undefined> {
    try {
      for await (const message of messages) {
        hear(placement);
        yield message;
      }
    } catch (thrown) {
      const mediator = mediators.get(placement.address);
      if (mediator !== undefined && RuneError.from(thrown).eps === undefined) mediator.known = undefined;
      throw thrown;
    }
  }

  const forget = (address: string): void => {
    const mediator = mediatorAt(address);
    mediator.known = undefined;
    mediator.plugins = createSentPlugins();
  };

  const sendAcks = async (mediator: Mediator, placement: Placement): Promise<void> => {
    // One that was set while the call before was under way: what it would send is sent now.
    clearTimeout(mediator.ackTimer);
    mediator.ackTimer = undefined;
    const runIds = mediator.acknowledged.splice(0, ACKS_MAX);
    const header = requestHeader(undefined, 'RUN_ACK_REQUEST', 'lom', 'lmm');
    try {
      await mediator.client.ackRun({ header, lmmInstanceId: placement.instanceId, runIds });
    } catch (thrown) {
      // It forgets them by itself in time.
      logger.debug('outcomes could not be acknowledged', { mediator: placement.address, err: thrown });
    }
    if (mediator.acknowledged.length > 0) await sendAcks(mediator, placement);
  };

  return {
    async placementAt(address) {
      const known = knownPlacement(address);
      if (known !== undefined) return known;
      const mediator = mediatorAt(address);
      mediator.asking ??= askInstance(address).finally(() => (mediator.asking = undefined));
      return { address, instanceId: await mediator.asking };
    },

    knownPlacement,

    forget,

    async *start(placement, plan, run, identity, signal, how = 'start') {
      const { address } = placement;
      const client = await ready(address);
      const timeoutMs =
        plan.connectTimeoutMs + plan.timeoutMs + 2 * plan.killGraceMs + settings.streamMarginMs;
      const plugin = await mediatorAt(address).plugins.ask(plan.action.capability.digest);
      for (const withContent of plugin.isThere ? [false, true] : [true]) {
        let answered = false;
        try {
          const request = {
            header: requestHeader(identity.header, 'ACTION_EXECUTE_REQUEST', 'lom', 'lmm'),
            command: {
              $case: how,
              value: startMessage(placement, plan, run, identity, {
                orphanAfterMs: settings.orphanAfterMs,
                withContent,
              }),
            },
          };
          for await (const message of hearing(placement, client.mediate(request, { timeoutMs, signal }))) {
            if (!answered) plugin.arrived();
            answered = true;
            yield message;
          }
          return;
        } catch (thrown) {
          const error = RuneError.from(thrown);
          if (!answered && error.facts.reason === NOT_CONNECTED) throw unavailable(address, error);
          if (answered || error.name !== 'PLUGIN_CONTENT_NEEDED' || withContent) throw error;
        } finally {
          if (!answered) plugin.failed();
        }
      }
    },

    async *attach(placement, identity, afterEvent, signal, onFound) {
      const client = await ready(placement.address);
      const request = {
        header: requestHeader(identity.header, 'RUN_ATTACH_REQUEST', 'lom', 'lmm'),
        command: {
          $case: 'attach' as const,
          value: {
            runId: identity.runId,
            lmmInstanceId: placement.instanceId,
            afterEvent,
            ownerEpoch: identity.epoch,
          },
        },
      };
      const onAccept = (): void => {
        hear(placement);
        onFound();
      };
      yield* hearing(placement, client.mediate(request, { signal, onAccept }));
    },

    async cancel(placement, identity, reason) {
      await mediatorAt(placement.address).client.cancelRun({
        header: requestHeader(identity.header, 'RUN_CANCEL_REQUEST', 'lom', 'lmm'),
        runId: identity.runId,
        reason,
        ownerEpoch: identity.epoch,
        lmmInstanceId: placement.instanceId,
      });
    },

    acknowledge(placement, runId) {
      const mediator = mediatorAt(placement.address);
      mediator.acknowledged.push(runId);
      mediator.ackTimer ??= setTimeout(() => void sendAcks(mediator, placement), settings.ackDelayMs);
    },

    async probe(run, connectTimeoutMs, header, signal) {
      const { node, mediators: candidates } = run;
      const address = (chooseMediator(candidates) ?? candidates[0])?.address ?? '';
      const client = await ready(address);
      const response = await client.probeNode(
        {
          header: requestHeader(header, 'NODE_PROBE_REQUEST', 'lom', 'lmm'),
          target: nodeTarget(run),
          connectTimeout: toDuration(connectTimeoutMs),
        },
        { signal, timeoutMs: connectTimeoutMs + settings.streamMarginMs },
      );
      if (response.probe === undefined)
        throw new RuneError('INTERNAL', `The mediator answered a probe of ${node.name} with nothing.`);
      return { ...response.probe, mediator: address };
    },

    prune(isInUse) {
      for (const [address, { client, ackTimer, acknowledged }] of mediators) {
        if (ackTimer !== undefined || acknowledged.length > 0 || isInUse(address)) continue;
        mediators.delete(address);
        client.close();
      }
    },

    close() {
      for (const { client, ackTimer } of mediators.values()) {
        clearTimeout(ackTimer);
        client.close();
      }
    },
  };
}
