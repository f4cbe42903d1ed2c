import {
  type CallOptions,
  createRpcClient,
  type RpcClient,
  type RpcClientSettings,
} from '../shared/rpc/rpc-client.js';
import {
  CancelExecutionRequest,
  type CancelExecutionResponse,
  GetActionRequest,
  type GetActionResponse,
  GetExecutionRequest,
  type GetExecutionResponse,
  GetNodeRequest,
  type GetNodeResponse,
  ListActionsRequest,
  type ListActionsResponse,
  ListExecutionsRequest,
  type ListExecutionsResponse,
  ListNodesRequest,
  type ListNodesResponse,
  LomServiceService,
  PlanExecutionRequest,
  type PlanExecutionResponse,
  RerunExecutionRequest,
  type RerunExecutionResponse,
  RunRequest,
  type RunResponse,
  SubmitExecutionRequest,
  type SubmitExecutionResponse,
  WatchExecutionRequest,
  type WatchExecutionResponse,
} from '../shared/gen/rune/v1/lom.js';
import {
  DeregisterModuleRequest,
  type DeregisterModuleResponse,
  ListModulesRequest,
  type ListModulesResponse,
  RegisterModuleRequest,
  type RegisterModuleResponse,
  RegistryServiceService,
} from '../shared/gen/rune/v1/registry.js';
import type { ClientTls } from '../shared/rpc/rpc-tls.js';

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
  /**
   * Accepts what `run` accepts and answers as soon as it is recorded; `watchExecution` shows what happens. With a `requestId`
   * the call may be repeated: the same caller gets the same execution.
   */
  submitExecution(
    request: Partly<typeof SubmitExecutionRequest>,
    options?: CallOptions,
  ): Promise<SubmitExecutionResponse>;
  /**
   * The events of an execution from `fromSeq` on; the last one is the final state, also of an execution that ended long ago. A
   * stream that broke goes on with the number after the last event that was read.
   */
  watchExecution(
    request: Partly<typeof WatchExecutionRequest>,
    options?: CallOptions,
  ): AsyncGenerator<WatchExecutionResponse, void, undefined>;
  /** One execution and a page of its runs; their outcomes only with `outcomes`. */
  getExecution(
    request: Partly<typeof GetExecutionRequest>,
    options?: CallOptions,
  ): Promise<GetExecutionResponse>;
  /** One page of the executions, newest first. */
  listExecutions(
    request?: Partly<typeof ListExecutionsRequest>,
    options?: CallOptions,
  ): Promise<ListExecutionsResponse>;
  /** Submits an execution again, on all of its nodes or on those where it did not succeed. */
  rerunExecution(
    request: Partly<typeof RerunExecutionRequest>,
    options?: CallOptions,
  ): Promise<RerunExecutionResponse>;
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
  /** One page of the modules: plugin bundles and mediators. */
  listModules(
    request?: Partly<typeof ListModulesRequest>,
    options?: CallOptions,
  ): Promise<ListModulesResponse>;
  /** Registers a plugin bundle with its files. */
  registerModule(
    request: Partly<typeof RegisterModuleRequest>,
    options?: CallOptions,
  ): Promise<RegisterModuleResponse>;
  /** Ends a registration; what was accepted before goes on. */
  deregisterModule(
    request: Partly<typeof DeregisterModuleRequest>,
    options?: CallOptions,
  ): Promise<DeregisterModuleResponse>;
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

/** LOM records a MiB of a flood of log at once: with less on its way to a reader it would fall behind, and read the store for it. */
const WINDOW_BYTES = 1024 * 1024;

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
export function createClient({ settings, ...given }: ClientOptions): LomClient {
  const options = { ...given, settings: { windowBytes: WINDOW_BYTES, ...settings } };
  const lom = createRpcClient(LomServiceService, options);
  // Few programs need it, and it is a connection of its own.
  let registry: RpcClient<RegistryServiceService> | undefined;
  const modules = (): RpcClient<RegistryServiceService> =>
    (registry ??= createRpcClient(RegistryServiceService, options));
  return {
    run: (request, call) => lom.run(RunRequest.fromPartial(request), call),
    submitExecution: (request, call) =>
      lom.submitExecution(SubmitExecutionRequest.fromPartial(request), call),
    watchExecution: (request, call) => lom.watchExecution(WatchExecutionRequest.fromPartial(request), call),
    getExecution: (request, call) => lom.getExecution(GetExecutionRequest.fromPartial(request), call),
    listExecutions: (request, call) =>
      lom.listExecutions(ListExecutionsRequest.fromPartial(request ?? {}), call),
    rerunExecution: (request, call) => lom.rerunExecution(RerunExecutionRequest.fromPartial(request), call),
    cancelExecution: (request, call) =>
      lom.cancelExecution(CancelExecutionRequest.fromPartial(request), call),
    planExecution: (request, call) => lom.planExecution(PlanExecutionRequest.fromPartial(request), call),
    listActions: (request, call) => lom.listActions(ListActionsRequest.fromPartial(request ?? {}), call),
    getAction: (request, call) => lom.getAction(GetActionRequest.fromPartial(request), call),
    listNodes: (request, call) => lom.listNodes(ListNodesRequest.fromPartial(request ?? {}), call),
    getNode: (request, call) => lom.getNode(GetNodeRequest.fromPartial(request), call),
    listModules: (request, call) =>
      modules().listModules(ListModulesRequest.fromPartial(request ?? {}), call),
    registerModule: (request, call) =>
      modules().registerModule(RegisterModuleRequest.fromPartial(request), call),
    deregisterModule: (request, call) =>
      modules().deregisterModule(DeregisterModuleRequest.fromPartial(request), call),
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
    close() {
      lom.close();
      registry?.close();
    },
  };
}
