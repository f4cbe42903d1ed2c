import type { ScriptStep } from './document.js';
import type { ScriptOutput } from './script-output.js';

/** Commands and instances of one account and region are hidden from all others. */
export interface Scope {
  readonly account: string;
  readonly region: string;
}

export type InvocationStatus =
  'Pending' | 'Delayed' | 'InProgress' | 'Cancelling' | 'Success' | 'Failed' | 'TimedOut' | 'Cancelled';

export type StatusDetails =
  InvocationStatus | 'DeliveryTimedOut' | 'ExecutionTimedOut' | 'Undeliverable' | 'Terminated';

/** A command on one instance. */
export interface Invocation {
  readonly command: Command;
  readonly instanceId: string;
  /** Whether it was handed to delivery: MaxConcurrency lets the others wait. */
  isDispatched: boolean;
  status: InvocationStatus;
  details: StatusDetails;
  /** -1 until the agent reported. */
  responseCode: number;
  /** Unix time in ms; undefined until the agent reported. */
  startedAtMs: number | undefined;
  endedAtMs: number | undefined;
  /** All that the script wrote, over each time that it was executed. */
  readonly stdout: ScriptOutput;
  readonly stderr: ScriptOutput;
  /** What the service tells of it; empty until the agent reported. */
  shown: { readonly stdout: string; readonly stderr: string; readonly combined: string };
}

/** What one SendCommand made. */
export interface Command {
  readonly id: string;
  readonly scope: Scope;
  readonly documentName: string;
  readonly comment: string;
  readonly parameters: Readonly<Record<string, readonly string[]>>;
  readonly targets: readonly { readonly Key: string; readonly Values: readonly string[] }[];
  readonly instanceIds: readonly string[];
  readonly step: ScriptStep;
  /** By the service's clock, Unix time in ms. */
  readonly requestedAtMs: number;
  readonly expiresAtMs: number;
  /** By the clock of this machine: reads see it only some time later. */
  readonly acceptedAtMs: number;
  readonly timeoutSeconds: number;
  readonly maxConcurrency: string;
  readonly maxErrors: string;
  readonly output: { readonly bucket: string; readonly keyPrefix: string };
  readonly invocations: Map<string, Invocation>;
  cancelRequested: boolean;
}

const ENDINGS: readonly InvocationStatus[] = ['Success', 'Failed', 'TimedOut', 'Cancelled'];

/** Whether nothing more happens to an invocation. */
export const isOver = ({ status }: Invocation): boolean => ENDINGS.includes(status);

/** A count, or a share of all in percent, as MaxConcurrency and MaxErrors say it. */
export function limitOf(text: string, all: number): number {
  return text.endsWith('%') ? Math.floor((Number(text.slice(0, -1)) / 100) * all) : Number(text);
}
