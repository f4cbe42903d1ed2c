import type { EncodedMessage } from './encoded-message.js';
import type { CallContext, StreamHandler, UnaryHandler } from './rpc-call.js';
import type { RequestOf, ResponseOf, RpcMethod, RpcService } from './rpc-definition.js';

/** The handler of one method: a promise for a unary method, an async iterable for a server stream. */
export type HandlerOf<M extends RpcMethod> = M['requestStream'] extends true
  ? never
  : M['responseStream'] extends true
    ? (request: RequestOf<M>, call: CallContext) => AsyncIterable<ResponseOf<M> | EncodedMessage>
    : (request: RequestOf<M>, call: CallContext) => Promise<ResponseOf<M>>;

/** One handler for each method of a service definition. */
export type Handlers<S extends RpcService> = { readonly [Name in keyof S]: HandlerOf<S[Name]> };

/** A service together with its handlers, ready to be served. */
export interface ServiceBinding {
  readonly service: RpcService;
  readonly handlers: Readonly<Record<string, UnaryHandler | StreamHandler>>;
}

/** Joins a service definition of the generated code with its handlers. */
export function bindService<S extends RpcService>(service: S, handlers: Handlers<S>): ServiceBinding {
  return { service, handlers };
}
