import { type CallOptions, createRpcClient, type RpcClientSettings } from '../shared/rpc-client.js';
import {
  CancelExecutionRequest,
  type CancelExecutionResponse,
  GetActionRequest,
  type GetActionResponse,
  GetNodeRequest,
  type GetNodeResponse,
  ListActionsRequest,
  type ListActionsResponse,
  ListNodesRequest,
  type ListNodesResponse,
  LomServiceService,
  PlanExecutionRequest,
  type PlanExecutionResponse,
  RunRequest,
  type RunResponse,
} from '../shared/gen/rune/v1/lom.js';
import type { ClientTls } from '../shared/rpc-tls.js';

// What a program needs to read the answers: the entry of the package is this file.
export { RuneError } from '../shared/errors.js';
export { ExecutionState, RunState } from '../shared/gen/rune/v1/run.js';

/** A request in which every field, at every depth, may be left out. */
type Partly<F extends { fromPartial: (object: never) => unknown }> = Parameters<F['fromPartial']>[0];

/** What LOM offers, typed. Every error is a RuneError with a stable `name` (docs/errors.md). */
export interface LomClient {
  /**
   * Runs an action and yields what happens; the last event is the execution's final state. Leaving the loop ends the call,
   * not the work, unless the request says `cancelOnDisconnect`: `cancelExecution` stops it.
   */
  run(
    request: Partly<typeof RunRequest>,
    options?: CallOptions,
  ): AsyncGenerator<RunResponse, void, undefined>;
  /** Asks an execution to stop; its stream carries the confirmed outcomes. */
  cancelExecution(
    request: Partly<typeof CancelExecutionRequest>,
    options?: CallOptions,
  ): Promise<CancelExecutionResponse>;
  /** What `run` would do with the same request; contacts no node. */
  planExecution(
    request: Partly<typeof PlanExecutionRequest>,
    options?: CallOptions,
  ): Promise<PlanExecutionResponse>;
  /** One page of the actions that can be run. */
  listActions(
    request?: Partly<typeof ListActionsRequest>,
    options?: CallOptions,
  ): Promise<ListActionsResponse>;
  /** One action with its schemas and examples. */
  getAction(request: Partly<typeof GetActionRequest>, options?: CallOptions): Promise<GetActionResponse>;
  /** One page of the nodes. */
  listNodes(request?: Partly<typeof ListNodesRequest>, options?: CallOptions): Promise<ListNodesResponse>;
  /** One node; with `probe`, also whether its mediator can reach it. */
  getNode(request: Partly<typeof GetNodeRequest>, options?: CallOptions): Promise<GetNodeResponse>;
  /** Whether the service says that it serves (grpc.health.v1). */
  isServing(options?: CallOptions): Promise<boolean>;
  /** Cancels the calls in progress and closes the connection. */
  close(): void;
}

/** Where LOM is and how it is trusted. */
export interface ClientOptions {
  /** `host:port`, `[v6]:port` or `unix:/path`. */
  readonly address: string;
  /** PEM files; without, the connection is plaintext. */
  readonly tls?: ClientTls;
  readonly settings?: Partial<RpcClientSettings>;
}

/**
 * Makes a client of LOM. It connects with the first call. Throws CONFIGURATION_INVALID for a malformed address or unusable
 * certificate files.
 *
 * @example
 * const client = createClient({ address: '127.0.0.1:50051' });
 * for await (const { node, event } of client.run({ action: 'host-facts', targets: { nodes: ['web01'] } })) {
 *   if (event?.$case === 'outcome') console.log(node, event.value.result?.output);
 * }
 * client.close();
 */
export function createClient(options: ClientOptions): LomClient {
  const lom = createRpcClient(LomServiceService, options);
  return {
    run: (request, call) => lom.run(RunRequest.fromPartial(request), call),
    cancelExecution: (request, call) =>
      lom.cancelExecution(CancelExecutionRequest.fromPartial(request), call),
    planExecution: (request, call) => lom.planExecution(PlanExecutionRequest.fromPartial(request), call),
    listActions: (request, call) => lom.listActions(ListActionsRequest.fromPartial(request ?? {}), call),
    getAction: (request, call) => lom.getAction(GetActionRequest.fromPartial(request), call),
    listNodes: (request, call) => lom.listNodes(ListNodesRequest.fromPartial(request ?? {}), call),
    getNode: (request, call) => lom.getNode(GetNodeRequest.fromPartial(request), call),
    async isServing(call) {
      // Few programs ask, so the others do not load it.
      const { HealthCheckResponse_ServingStatus, HealthService } =
        await import('../shared/gen/grpc/health/v1/health.js');
      const health = createRpcClient(HealthService, options);
      try {
        const { status } = await health.check({ service: '' }, call);
        return status === HealthCheckResponse_ServingStatus.SERVING;
      } finally {
        health.close();
      }
    },
    close: () => lom.close(),
  };
}
