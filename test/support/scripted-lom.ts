import { Writable } from 'node:stream';
import { ActionCapability } from '../../services/shared/gen/rune/v1/mrs.js';
import {
  type CancelExecutionRequest,
  CancelExecutionResponse,
  GetActionResponse,
  GetExecutionResponse,
  GetNodeResponse,
  ListActionsResponse,
  ListNodesResponse,
  LomServiceService,
  type ListExecutionsRequest,
  PlanExecutionResponse,
  type RerunExecutionRequest,
  type RunRequest,
  type RunResponse,
  type SubmitExecutionRequest,
  type WatchExecutionRequest,
} from '../../services/shared/gen/rune/v1/lom.js';
import { Node } from '../../services/shared/gen/rune/v1/run.js';
import { createLogger } from '../../services/shared/logging/logger.js';
import { bindService, type Handlers } from '../../services/shared/rpc/rpc-binding.js';
import { startRpcServer } from '../../services/shared/rpc/rpc-server.js';
import { gate } from './gate.js';

type LomHandlers = Handlers<typeof LomServiceService>;

/** The answers of a LOM that are not the usual ones; `cancelled` settles with the first cancel that arrives. */
export type LomScript = (cancelled: Promise<void>) => Partial<LomHandlers>;

/** A LomService over real gRPC whose answers a test writes. */
export interface ScriptedLom {
  readonly address: string;
  readonly runs: readonly RunRequest[];
  readonly submits: readonly SubmitExecutionRequest[];
  readonly watches: readonly WatchExecutionRequest[];
  readonly lists: readonly ListExecutionsRequest[];
  readonly reruns: readonly RerunExecutionRequest[];
  readonly cancels: readonly CancelExecutionRequest[];
  /** Settles with the first cancel that arrives. */
  readonly cancelled: Promise<void>;
  stop(): Promise<void>;
}

const SCHEMA = JSON.stringify({
  type: 'object',
  properties: {
    lines: { type: 'integer', minimum: 1, description: 'how many' },
    unit: { type: 'string' },
    password: { type: 'string', writeOnly: true },
  },
  required: ['unit'],
});

/** The one action of every script, unless a test says otherwise. */
export const TAIL_LOG = ActionCapability.fromPartial({
  action: 'tail-log',
  version: '1.2.0',
  description: 'The last lines of a unit.',
  inputSchema: SCHEMA,
  outputSchema: JSON.stringify({ type: 'object', properties: { lines: { type: 'array' } } }),
  risk: 1,
  timeoutMs: 30_000,
  moduleName: 'core',
  digest: 'ab'.repeat(32),
  examples: [{ description: 'Ten lines of nginx', params: { unit: 'nginx', lines: 10 } }],
});

/** The one node of every script, unless a test says otherwise. */
export const WEB01 = Node.fromPartial({
  name: 'web01',
  transports: ['ssh'],
  address: '192.0.2.1',
  port: 22,
  user: 'ops',
  labels: { role: 'web' },
  groups: ['web'],
});

/** What a LOM answers about an execution that is recorded with these events. */
export function recorded(
  events: readonly RunResponse[],
): Pick<LomHandlers, 'watchExecution' | 'getExecution'> {
  const statuses = events.flatMap(({ event }) => (event?.$case === 'execution' ? [event.value] : []));
  const [first, last] = [statuses[0], statuses.at(-1)];
  const outcomes = events.flatMap(({ node, runId, attempt, event }) =>
    event?.$case === 'outcome' ? [{ node, runId, attempt, outcome: event.value }] : [],
  );
  return {
    async *watchExecution({ fromSeq, nodes, withoutLog }) {
      for (const event of events) {
        const isLog = event.event?.$case === 'log' || event.event?.$case === 'progress';
        const isOther = nodes.length > 0 && event.node !== '' && !nodes.includes(event.node);
        if (event.seq >= fromSeq && !isOther && !(withoutLog && isLog)) yield event;
      }
    },
    getExecution: async ({ executionId, pageSize, pageToken, outcomes: wanted, states }) => {
      const at = Number(pageToken);
      const chosen = outcomes.filter(({ outcome }) => states.length === 0 || states.includes(outcome.state));
      return GetExecutionResponse.fromPartial({
        execution: {
          ...first,
          executionId,
          state: last?.state ?? 0,
          counts: last?.counts ?? [],
          triggeredBy: 'ops',
          createdAt: new Date('2026-01-02T03:04:05Z'),
          lastSeq: events.length,
        },
        runs: chosen.slice(at, at + pageSize).map(({ outcome, ...run }) => ({
          ...run,
          state: outcome.state,
          ...(wanted ? { outcome } : {}),
        })),
        nextPageToken: at + pageSize < chosen.length ? String(at + pageSize) : '',
      });
    },
  };
}

function unscripted(): never {
  throw new Error('This script has no such call.');
}

/** Starts the server, on a free loopback port unless it is told where. */
export async function startScriptedLom(script: LomScript, listen = '127.0.0.1:0'): Promise<ScriptedLom> {
  const runs: RunRequest[] = [];
  const submits: SubmitExecutionRequest[] = [];
  const watches: WatchExecutionRequest[] = [];
  const lists: ListExecutionsRequest[] = [];
  const reruns: RerunExecutionRequest[] = [];
  const cancels: CancelExecutionRequest[] = [];
  const cancelled = gate();
  const own = script(cancelled.opened);
  const all: LomHandlers = {
    run: unscripted,
    submitExecution: unscripted,
    watchExecution: unscripted,
    getExecution: unscripted,
    listExecutions: unscripted,
    rerunExecution: unscripted,
    cancelExecution: async () => CancelExecutionResponse.fromPartial({ state: 4 }),
    planExecution: async () => PlanExecutionResponse.fromPartial({}),
    listActions: async () => ListActionsResponse.fromPartial({ actions: [TAIL_LOG] }),
    getAction: async () => GetActionResponse.fromPartial({ action: TAIL_LOG }),
    listNodes: async () => ListNodesResponse.fromPartial({ nodes: [WEB01] }),
    getNode: async () => GetNodeResponse.fromPartial({ node: WEB01 }),
    ...own,
  };
  const discard = new Writable({ write: (_chunk, _encoding, done) => done() });
  const server = await startRpcServer({
    listen,
    bindings: [
      bindService(LomServiceService, {
        ...all,
        run: (request, call) => {
          runs.push(request);
          return all.run(request, call);
        },
        submitExecution: (request, call) => {
          submits.push(request);
          return all.submitExecution(request, call);
        },
        watchExecution: (request, call) => {
          watches.push(request);
          return all.watchExecution(request, call);
        },
        listExecutions: (request, call) => {
          lists.push(request);
          return all.listExecutions(request, call);
        },
        rerunExecution: (request, call) => {
          reruns.push(request);
          return all.rerunExecution(request, call);
        },
        cancelExecution: (request, call) => {
          cancels.push(request);
          cancelled.open();
          return all.cancelExecution(request, call);
        },
      }),
    ],
    logger: createLogger({ level: 'error', service: 'scripted-lom', stream: discard }),
    source: 'scripted-lom',
  });
  const requests = { runs, submits, watches, lists, reruns, cancels };
  return { address: server.address, ...requests, cancelled: cancelled.opened, stop: () => server.stop(0) };
}
