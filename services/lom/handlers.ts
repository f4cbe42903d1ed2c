import { RuneError } from '../shared/errors.js';
import { toDuration } from '../shared/duration.js';
import type { LomServiceService, PlannedRun } from '../shared/gen/rune/v1/lom.js';
import { replyHeader } from '../shared/header.js';
import type { Handlers } from '../shared/rpc-binding.js';
import type { Dispatcher } from './dispatch.js';
import type { Orchestrator } from './orchestrate.js';
import { pageOf } from './page.js';
import { planNode, type Plan, type PlanSources } from './plan.js';
import { resolveTargets } from './targets.js';

function plannedRuns(plan: Plan): PlannedRun[] {
  return plan.runs.map(({ node, transport, mediators, runAs }) => ({
    node: node.name,
    transport,
    address: node.address,
    port: node.port,
    user: node.user,
    mediator: mediators[0]?.address ?? '',
    runAs,
  }));
}

/** LomService, served by this orchestrator. */
export function lomHandlers(
  orchestrator: Orchestrator,
  dispatcher: Dispatcher,
  sources: PlanSources,
): Handlers<LomServiceService> {
  const { registry, inventory } = sources;
  return {
    async *run(request, call) {
      const execution = orchestrator.start(request, { header: call.header, triggeredBy: call.identity.name });
      try {
        yield* execution.events(call.signal);
      } finally {
        // After the last event this changes nothing.
        if (request.cancelOnDisconnect) execution.cancel('its caller left');
      }
    },

    async cancelExecution(request, call) {
      const state = orchestrator.cancel(request.executionId, request.reason);
      return { header: replyHeader(call.header, 'EXECUTION_CANCEL_ACCEPTED', 'lom', true), state };
    },

    async submitExecution() {
      throw new RuneError('METHOD_NOT_FOUND', 'Not served yet.');
    },

    async *watchExecution() {
      throw new RuneError('METHOD_NOT_FOUND', 'Not served yet.');
    },

    async getExecution() {
      throw new RuneError('METHOD_NOT_FOUND', 'Not served yet.');
    },

    async listExecutions() {
      throw new RuneError('METHOD_NOT_FOUND', 'Not served yet.');
    },

    async rerunExecution() {
      throw new RuneError('METHOD_NOT_FOUND', 'Not served yet.');
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
      const page = pageOf(registry.list(), (action) => action.capability.action, request);
      return {
        header: replyHeader(call.header, 'ACTIONS_LISTED', 'lom', true),
        actions: page.items.map(({ capability }) => ({
          ...capability,
          inputSchema: '',
          outputSchema: '',
          examples: [],
        })),
        nextPageToken: page.nextPageToken,
      };
    },

    async getAction(request, call) {
      const action = registry.get(request.action).capability;
      return { header: replyHeader(call.header, 'ACTION_SHOWN', 'lom', true), action };
    },

    async listNodes(request, call) {
      const nodes =
        request.targets === undefined ? inventory.nodes : resolveTargets(request.targets, inventory);
      const page = pageOf(nodes, (node) => node.name, request);
      return {
        header: replyHeader(call.header, 'NODES_LISTED', 'lom', true),
        nodes: page.items.map((node) => ({ ...node, vars: undefined })),
        nextPageToken: page.nextPageToken,
      };
    },

    async getNode(request, call) {
      const node = inventory.get(request.name);
      const { connectTimeoutMs } = sources.settings;
      const probe = request.probe
        ? await dispatcher.probe(planNode(node, '', sources), connectTimeoutMs, call.header, call.signal)
        : undefined;
      return { header: replyHeader(call.header, 'NODE_SHOWN', 'lom', true), node, probe };
    },
  };
}
