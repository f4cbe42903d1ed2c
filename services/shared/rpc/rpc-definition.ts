/** One method as the generated code describes it. */
export interface RpcMethod {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (value: never) => Buffer;
  readonly requestDeserialize: (value: Buffer) => unknown;
  readonly responseSerialize: (value: never) => Buffer;
  readonly responseDeserialize: (value: Buffer) => unknown;
}

/** A service as the generated code describes it, such as LomServiceService: its methods by name. */
export type RpcService = Readonly<Record<string, RpcMethod>>;

/** The request message of a method. */
export type RequestOf<M extends RpcMethod> = ReturnType<M['requestDeserialize']>;

/** The response message of a method, or of one step of its stream. */
export type ResponseOf<M extends RpcMethod> = ReturnType<M['responseDeserialize']>;

/** Messages above this size are refused on both sides, by the sender first. */
export const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;

/** Full name of the service that a method belongs to, such as "rune.v1.LomService". */
export function serviceNameOf(service: RpcService): string {
  const path = Object.values(service)[0]?.path ?? '';
  return path.slice(1, path.lastIndexOf('/'));
}
