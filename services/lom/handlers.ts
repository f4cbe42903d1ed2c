import { toDuration } from '../shared/messages/duration.js';
import { RuneError } from '../shared/errors.js';
import type {
  InventorySource,
  LomServiceService,
  PlannedRun,
  SubmitExecutionResponse,
} from '../shared/gen/rune/v1/lom.js';
import { replyHeader } from '../shared/messages/header.js';
import { pageOf } from '../shared/messages/page.js';
import type { Handlers } from '../shared/rpc/rpc-binding.js';
import type { CallContext } from '../shared/rpc/rpc-call.js';
import type { Dispatcher } from './dispatch/dispatch.js';
import { executionMessage } from './watch/execution-message.js';
import type { InventorySourceStatus } from './inventory-sources/follow-inventory.js';
import { lockMessage } from './watch/lock-message.js';
import type { Caller } from './execution/prepare-execution.js';
import type { Orchestrator, Submitted } from './orchestrate.js';
import { chooseMediator } from './mediators/mediators.js';
import { planNode, type Plan, type PlanSources } from './plan/plan.js';
import { listExecutions, showExecution } from './watch/show.js';
import type { Store } from './store/store.js';
import { resolveTargets } from './inventory/targets.js';

/** Mediators that a plan names for each node. */
const MEDIATORS_SHOWN_MAX = 8;

function plannedRuns(plan: Plan): PlannedRun[] {
  return plan.runs.map(({ node, transport, mediators, runAs }) => ({
    node: node.name,
    transport,
    address: node.address,
    port: node.port,
    user: node.user,
    mediator: (chooseMediator(mediators) ?? mediators[0])?.address ?? '',
    runAs,
    mediators: mediators.slice(0, MEDIATORS_SHOWN_MAX).map(({ address, name, trouble }) => ({
      address,
      moduleName: name,
      isChosen: address === chooseMediator(mediators)?.address,
      trouble: trouble?.words ?? '',
    })),
  }));
}

function sourceMessage({ name, kind, readAtMs, problem, notes }: InventorySourceStatus): InventorySource {
  return { name, kind, readAt: new Date(readAtMs), problem, notes: [...notes] };
}

const callerOf = (call: CallContext): Caller => ({ header: call.header, triggeredBy: call.identity.name });

/** The call is over before its time, and not because this service stops, which is no reason to stop the work. */
function hasLeft(signal: AbortSignal): boolean {
  return signal.aborted && RuneError.from(signal.reason).name !== 'SERVICE_SHUTTING_DOWN';
}

/** LomService, served by this orchestrator. */
export function lomHandlers(
  orchestrator: Orchestrator,
  dispatcher: Dispatcher,
  sources: PlanSources,
  store: Store,
  inventorySources: () => readonly InventorySourceStatus[],
): Handlers<LomServiceService> {
  const submitted = async (
    { execution, existing }: Submitted,
    call: CallContext,
  ): Promise<SubmitExecutionResponse> => ({
    header: replyHeader(call.header, 'EXECUTION_ACCEPTED', 'lom', true),
    execution: executionMessage(
      execution,
      (await store.runCounts([execution.id])).get(execution.id) ?? new Map(),
    ),
    existing,
  });
  return {
    async *run(request, call) {
      const recorded = await orchestrator.submit(request, callerOf(call));
      const { execution } = recorded;
      const choice = { executionId: execution.id, fromSeq: 1, nodes: [], withoutLog: false, kinds: [] };
      try {
        yield* orchestrator.watch(choice, call.header, call.signal, recorded);
      } finally {
        if (request.cancelOnDisconnect && hasLeft(call.signal))
          await orchestrator.cancel(execution.id, 'its caller left');
      }
    },

    async submitExecution(request, call) {
      return submitted(await orchestrator.submit(request, callerOf(call)), call);
    },

    async rerunExecution(request, call) {
      return submitted(await orchestrator.rerun(request, callerOf(call)), call);
    },

    watchExecution: (request, call) => orchestrator.watch(request, call.header, call.signal),

    async getExecution(request, call) {
      const { execution, runs } = await showExecution(store, request);
      const header = replyHeader(call.header, 'EXECUTION_SHOWN', 'lom', true);
      return { header, execution, runs: [...runs.items], nextPageToken: runs.nextPageToken };
    },

    async listExecutions(request, call) {
      const { items, nextPageToken } = await listExecutions(store, request);
      const header = replyHeader(call.header, 'EXECUTIONS_LISTED', 'lom', true);
      return { header, executions: [...items], nextPageToken };
    },

    async cancelExecution(request, call) {
      const state = await orchestrator.cancel(request.executionId, request.reason);
      return { header: replyHeader(call.header, 'EXECUTION_CANCEL_ACCEPTED', 'lom', true), state };
    },

    async planExecution(request, call) {
      const plan = orchestrator.plan(request);
      const { action, version, digest, risk } = plan.action.capability;
      return {
        header: replyHeader(call.header, 'EXECUTION_PLANNED', 'lom', true),
        action,
        version,
        digest,
        risk,
        dryRun: plan.dryRun,
        timeout: toDuration(plan.timeoutMs),
        killGrace: toDuration(plan.killGraceMs),
        connectTimeout: toDuration(plan.connectTimeoutMs),
        maxParallel: plan.maxParallel,
        runs: plannedRuns(plan),
      };
    },

    async listActions(request, call) {
      const page = pageOf(sources.registry.list(), (action) => action.capability.action, request);
      return {
        header: replyHeader(call.header, 'ACTIONS_LISTED', 'lom', true),
        actions: page.items.map(({ capability }) => ({
          ...capability,
          inputSchema: '',
          outputSchema: '',
          configurationSchema: '',
          examples: [],
        })),
        nextPageToken: page.nextPageToken,
      };
    },

    async getAction(request, call) {
      const action = sources.registry.get(request.action).capability;
      return { header: replyHeader(call.header, 'ACTION_SHOWN', 'lom', true), action };
    },

    async listNodes(request, call) {
      const { inventory } = sources;
      const nodes =
        request.targets === undefined ? inventory.nodes : resolveTargets(request.targets, inventory);
      const page = pageOf(nodes, (node) => node.name, request);
      return {
        header: replyHeader(call.header, 'NODES_LISTED', 'lom', true),
        nodes: page.items.map((node) => ({ ...node, vars: undefined })),
        nextPageToken: page.nextPageToken,
        inventorySources: request.pageToken === '' ? inventorySources().map(sourceMessage) : [],
      };
    },

    async getNode(request, call) {
      const node = sources.inventory.get(request.name);
      const { connectTimeoutMs } = sources.settings;
      const probe = request.probe
        ? await dispatcher.probe(planNode(node, '', sources), connectTimeoutMs, call.header, call.signal)
        : undefined;
      const from = inventorySources().find(({ name }) => name === sources.inventory.sourceOf(node.name));
      return {
        header: replyHeader(call.header, 'NODE_SHOWN', 'lom', true),
        node,
        probe,
        inventorySource: from === undefined ? undefined : sourceMessage(from),
        lock: lockMessage(await store.nodeLock(node.lockKey)),
      };
    },
  };
}
