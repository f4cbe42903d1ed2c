import type { OutputBucket } from './output-bucket.js';

/**
 * Why a call failed. `throttled`: too many. `unsent`: it certainly never reached the service. `refused`: the service or the
 * credentials said no, and nothing was done. `unknown`: it may have been done.
 */
export type SsmFaultKind = 'throttled' | 'unsent' | 'refused' | 'unknown';

/** A call that failed. */
export class SsmFault extends Error {
  readonly kind: SsmFaultKind;
  /** The service's own name of the error, such as InvalidInstanceId; or that of the SDK or the system. */
  readonly code: string;

  constructor(kind: SsmFaultKind, code: string, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.kind = kind;
    this.code = code;
  }
}

/** A command for at most 50 instances. */
export interface SsmCommand {
  readonly instanceIds: readonly string[];
  readonly document: string;
  /** Of the document, but for executionTimeout. */
  readonly parameters: Readonly<Record<string, readonly string[]>>;
  readonly comment: string;
  readonly deliverySeconds: number;
  readonly executionSeconds: number;
  /** Where the agent puts all that the script prints; undefined for nowhere. */
  readonly outputBucket?: OutputBucket | undefined;
}

/** How far a command is on one instance. */
export interface SsmStatus {
  readonly commandId: string;
  readonly instanceId: string;
  readonly status: string;
  readonly details: string;
  /** Both outputs as one, cut to 2,500 characters; empty or undefined until the command is over. */
  readonly combined?: string | undefined;
}

/** The same with what the agent reported. */
export interface SsmInvocation extends SsmStatus {
  /** -1 while there is none. */
  readonly responseCode: number;
  /** Whether the agent said when it began. */
  readonly hasBegun: boolean;
  readonly stdout: string;
  readonly stderr: string;
  /** Where in S3 the whole of each is, or is to be; empty without a bucket. */
  readonly stdoutUrl: string;
  readonly stderrUrl: string;
}

/** A command as the service lists it. */
export interface SsmListedCommand {
  readonly commandId: string;
  readonly comment: string;
  /** As it was sent; empty for one of another document. */
  readonly script: string;
}

/** What the service knows of a node. */
export interface SsmInstance {
  readonly pingStatus: string;
  readonly agentVersion: string;
  readonly platform: string;
}

/** One page of an answer. */
export interface SsmPage<Item> {
  readonly items: readonly Item[];
  readonly nextToken: string | undefined;
}

/** Systems Manager in one region as one identity. Every call is one request, tried once; what fails throws an SsmFault. */
export interface SsmApi {
  /** Resolves with the id of the command. */
  send(command: SsmCommand): Promise<string>;
  /** How far one command is on each of its instances, or all are that were sent after a time. */
  statuses(
    of: { readonly commandId: string } | { readonly sentAfter: Date },
    nextToken: string | undefined,
  ): Promise<SsmPage<SsmStatus>>;
  /** Undefined while the service does not know it. */
  invocation(commandId: string, instanceId: string): Promise<SsmInvocation | undefined>;
  cancel(commandId: string, instanceId: string): Promise<void>;
  /** The commands of an instance since a time. */
  commands(
    instanceId: string,
    sentAfter: Date,
    nextToken: string | undefined,
  ): Promise<SsmPage<SsmListedCommand>>;
  /** The first `bytesMax` bytes of an object of S3, read until the signal aborts; undefined while there is none. */
  object(bucket: string, key: string, bytesMax: number, signal: AbortSignal): Promise<Buffer | undefined>;
  /** Undefined for one that is not registered. */
  instance(instanceId: string): Promise<SsmInstance | undefined>;
  close(): void;
}
