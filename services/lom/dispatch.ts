import { toDuration } from '../shared/duration.js';
import { RuneError } from '../shared/errors.js';
import { requestHeader } from '../shared/header.js';
import type {
  LmmServiceService,
  MediateResponse,
  MediateStart,
  NodeTarget,
  Plugin,
} from '../shared/gen/rune/v1/lmm.js';
import type { RcsHeader } from '../shared/gen/rune/v1/rcs.js';
import type { NodeProbe } from '../shared/gen/rune/v1/run.js';
import type { RpcClient } from '../shared/rpc-client.js';
import type { Plan, PlannedNode, PlannedRun } from './plan.js';
import { createSentPlugins, type SentPlugins } from './sent-plugins.js';

/** The calls that LOM makes to a mediator. */
export type MediatorClient = RpcClient<LmmServiceService>;

/** Who asks for a run, and as which part of which execution. */
export interface RunIdentity {
  readonly executionId: string;
  readonly runId: string;
  readonly attempt: number;
  readonly triggeredBy: string;
  readonly header: RcsHeader;
}

/** Settings of the way from LOM to its mediators. */
export interface DispatchSettings {
  /** A mediator that cannot be reached for this long gets no run. */
  readonly mediatorConnectTimeoutMs: number;
  /** Tells the mediator how long a run may go on with nobody attached. */
  readonly orphanAfterMs: number;
  /** A stream may last this much longer than the run's own limits before the run is given up as lost. */
  readonly streamMarginMs: number;
}

/** Takes runs to mediators. */
export interface Dispatcher {
  /**
   * Starts a run on the first mediator that takes it and yields its messages. `placed` hears which mediator is being asked.
   * A thrown RuneError before the first message means that nothing ran, except OUTCOME_UNKNOWN; after it, that the stream broke.
   */
  start(
    plan: Plan,
    run: PlannedRun,
    identity: RunIdentity,
    placed: (address: string) => void,
  ): AsyncGenerator<MediateResponse, void, undefined>;
  /** Asks the mediator at `address` to stop a run. */
  cancel(address: string, runId: string, reason: string, header: RcsHeader): Promise<void>;
  /** Asks the first mediator of the node to connect to it and to run nothing. */
  probe(
    run: PlannedNode,
    connectTimeoutMs: number,
    header: RcsHeader,
    signal: AbortSignal,
  ): Promise<NodeProbe>;
  close(): void;
}

/** These refusals come from the mediator itself and prove that it did not take the run: the next one may. */
const SPILL = new Set(['MEDIATOR_FULL', 'SERVICE_SHUTTING_DOWN', 'TRANSPORT_NOT_AVAILABLE']);

/** The node as a mediator needs it, by one of its transports. */
export function nodeTarget({
  node,
  transport,
  jump,
}: Pick<PlannedNode, 'node' | 'transport' | 'jump'>): NodeTarget {
  const { name, address, port, user, credential, hostKeyFingerprints, weakAlgorithms } = node;
  return {
    name,
    transport,
    address,
    port,
    user,
    credential,
    hostKeyFingerprints,
    weakAlgorithms,
    jump: jump.map((hop) => ({
      name: hop.name,
      address: hop.address,
      port: hop.port,
      user: hop.user,
      credential: hop.credential,
      hostKeyFingerprints: hop.hostKeyFingerprints,
      weakAlgorithms: hop.weakAlgorithms,
    })),
  };
}

function pluginOf(plan: Plan, withContent: boolean): Plugin {
  const { capability, script, scriptSha256, library, librarySha256, files, parameterInput } = plan.action;
  const blob = (sha256: string, content: Buffer): { sha256: string; content: Buffer } => ({
    sha256,
    content: withContent ? content : Buffer.alloc(0),
  });
  return {
    script: blob(scriptSha256, script),
    library: library.length === 0 ? undefined : blob(librarySha256, library),
    delivery: capability.delivery,
    leavesProcesses: capability.leavesProcesses,
    files: files.map((file) => ({ path: file.path, blob: blob(file.sha256, file.bytes) })),
    protocol: capability.protocol,
    requires: capability.requires,
    arguments: [...plan.arguments],
    parameterInput,
  };
}

function startMessage(
  plan: Plan,
  run: PlannedRun,
  identity: RunIdentity,
  settings: DispatchSettings,
  withContent: boolean,
): MediateStart {
  const { node } = run;
  return {
    runId: identity.runId,
    executionId: identity.executionId,
    attempt: identity.attempt,
    action: plan.action.capability.action,
    plugin: pluginOf(plan, withContent),
    target: nodeTarget(run),
    runAs: run.runAs,
    ownerEpoch: 0,
    lmmInstanceId: '',
    paramsJson: Buffer.from(JSON.stringify(plan.params)),
    outputSchema: plan.action.capability.outputSchema,
    context: {
      dryRun: plan.dryRun,
      triggeredBy: identity.triggeredBy,
      reason: plan.reason,
      nodeVarsJson: Buffer.from(JSON.stringify(node.vars ?? {})),
      nodeLabels: node.labels,
      configurationJson: Buffer.from(JSON.stringify(run.configuration)),
    },
    limits: {
      timeout: toDuration(plan.timeoutMs),
      killGrace: toDuration(plan.killGraceMs),
      connectTimeout: toDuration(plan.connectTimeoutMs),
      orphanAfter: toDuration(settings.orphanAfterMs),
      outputBytesMax: 0,
      logBytesMax: 0,
    },
  };
}

/** Makes the dispatcher; `connect` opens the connection to a mediator and is called once an address. */
export function createDispatcher(
  connect: (address: string) => MediatorClient,
  settings: DispatchSettings,
): Dispatcher {
  const clients = new Map<string, MediatorClient>();
  /** By address: what the mediator has of which plugin. */
  const sent = new Map<string, SentPlugins>();

  const clientFor = (address: string): MediatorClient => {
    const known = clients.get(address);
    if (known !== undefined) return known;
    const client = connect(address);
    clients.set(address, client);
    sent.set(address, createSentPlugins());
    return client;
  };

  const ready = async (address: string, node: string): Promise<MediatorClient> => {
    const client = clientFor(address);
    try {
      await client.waitForReady(settings.mediatorConnectTimeoutMs);
      return client;
    } catch (cause) {
      const message = `The mediator at ${address} cannot be reached.`;
      throw new RuneError('MEDIATOR_UNAVAILABLE', message, { node }, { cause });
    }
  };

  async function* mediate(
    address: string,
    plan: Plan,
    run: PlannedRun,
    identity: RunIdentity,
  ): AsyncGenerator<MediateResponse, void, undefined> {
    const client = await ready(address, run.node.name);
    const timeoutMs = plan.connectTimeoutMs + plan.timeoutMs + 2 * plan.killGraceMs + settings.streamMarginMs;
    const plugin = await (sent.get(address) as SentPlugins).ask(plan.action.capability.digest);
    for (const withContent of plugin.isThere ? [false, true] : [true]) {
      let answered = false;
      try {
        const request = {
          header: requestHeader(identity.header, 'ACTION_EXECUTE_REQUEST', 'lom', 'lmm'),
          command: {
            $case: 'start' as const,
            value: startMessage(plan, run, identity, settings, withContent),
          },
        };
        for await (const message of client.mediate(request, { timeoutMs })) {
          if (!answered) plugin.arrived();
          answered = true;
          yield message;
        }
        return;
      } catch (thrown) {
        const error = RuneError.from(thrown);
        if (answered || error.name !== 'PLUGIN_CONTENT_NEEDED' || withContent) throw error;
      } finally {
        if (!answered) plugin.failed();
      }
    }
  }

  return {
    async *start(plan, run, identity, placed) {
      for (const [index, { address }] of run.mediators.entries()) {
        placed(address);
        let answered = false;
        try {
          for await (const message of mediate(address, plan, run, identity)) {
            answered = true;
            yield message;
          }
          return;
        } catch (thrown) {
          const error = RuneError.from(thrown);
          const elsewhere = error.name === 'MEDIATOR_UNAVAILABLE' || SPILL.has(error.name);
          if (answered || !elsewhere || index === run.mediators.length - 1) throw error;
        }
      }
    },

    async cancel(address, runId, reason, header) {
      await clientFor(address).cancelRun({
        header: requestHeader(header, 'RUN_CANCEL_REQUEST', 'lom', 'lmm'),
        runId,
        reason,
        ownerEpoch: 0,
        lmmInstanceId: '',
      });
    },

    async probe(run, connectTimeoutMs, header, signal) {
      const { node, mediators } = run;
      const address = mediators[0]?.address ?? '';
      const client = await ready(address, node.name);
      const response = await client.probeNode(
        {
          header: requestHeader(header, 'NODE_PROBE_REQUEST', 'lom', 'lmm'),
          target: nodeTarget(run),
          connectTimeout: toDuration(connectTimeoutMs),
        },
        { signal, timeoutMs: connectTimeoutMs + settings.streamMarginMs },
      );
      if (response.probe === undefined)
        throw new RuneError('INTERNAL', 'The mediator answered a probe with nothing.');
      return { ...response.probe, mediator: address };
    },

    close() {
      for (const client of clients.values()) client.close();
    },
  };
}
