import type { SsmInvocation, SsmStatus } from './ssm-api.js';

/** How far a command is: `waiting` for its node, `running` there, `stopping` since it was cancelled, or `over`. */
export type InvocationProgress = 'waiting' | 'running' | 'stopping' | 'over';

const PROGRESS: Readonly<Record<string, InvocationProgress>> = {
  Pending: 'waiting',
  Delayed: 'waiting',
  InProgress: 'running',
  Cancelling: 'stopping',
  Success: 'over',
  Failed: 'over',
  TimedOut: 'over',
  Cancelled: 'over',
};

/** How far an invocation is by its status; one that is not known here counts as running. */
export function progressOf({ status }: Pick<SsmStatus, 'status'>): InvocationProgress {
  return PROGRESS[status] ?? 'running';
}

/** What was seen of an invocation before it was over. */
export interface InvocationPast {
  /** The agent had it, so that it may have begun. */
  readonly wasRunning: boolean;
  /** It still waited when its time for delivery was over: after that no agent begins it. */
  readonly waitedTooLong: boolean;
}

/**
 * What is certain of an invocation that is over and left no report. `never-ran`: by the service's or the agent's word the script
 * did not begin. `stopped`: the agent killed it. `unknown`: nothing is certain.
 */
export type InvocationEnd =
  | { readonly kind: 'never-ran'; readonly reason: string; readonly byCancel: boolean }
  | { readonly kind: 'stopped' | 'unknown'; readonly reason: string };

/** Exit codes of a shell that could not read or start the script. */
const CANNOT_START = new Set([126, 127]);
/** Of an invocation about whose end no agent has reported. */
const NOT_REPORTED = -1;

const NEVER_DELIVERED: Readonly<Record<string, string>> = {
  Undeliverable: 'the command could not be delivered',
  Terminated: 'the service ended the command before its turn',
  RateExceeded: 'too many commands were waiting for their nodes',
  InvalidPlatform: 'the document is not for the platform of the node',
  AccessDenied: 'the identity may not run commands on the node',
};

/** What is certain of such an invocation, by status, detail, response code, whether the agent said that it began, and its past. */
export function endOf(
  invocation: Pick<SsmInvocation, 'status' | 'details' | 'responseCode' | 'hasBegun'>,
  { wasRunning, waitedTooLong }: InvocationPast,
): InvocationEnd {
  const { status, responseCode, hasBegun } = invocation;
  const details = invocation.details.replaceAll(' ', '');
  const never = (reason: string, byCancel = false): InvocationEnd => ({
    kind: 'never-ran',
    reason,
    byCancel,
  });
  const undelivered = NEVER_DELIVERED[details];
  if (undelivered !== undefined && !hasBegun && !wasRunning) return never(undelivered);
  // The service says the same of a command whose agent went silent while it ran.
  if (details === 'DeliveryTimedOut') {
    return !hasBegun && !wasRunning && waitedTooLong
      ? never('the command did not reach the node in time')
      : { kind: 'unknown', reason: 'the node was silent until the time of the command was over' };
  }
  switch (status) {
    case 'Cancelled': {
      const hadNotBegun = !hasBegun && (responseCode !== NOT_REPORTED || !wasRunning);
      if (hadNotBegun) return never('the command was cancelled before it began', true);
      return { kind: 'stopped', reason: 'the command was cancelled' };
    }
    case 'TimedOut':
      return { kind: 'stopped', reason: 'the time of the command was over' };
    case 'Failed':
      return CANNOT_START.has(responseCode)
        ? never(`the agent could not start the script (exit code ${responseCode})`)
        : { kind: 'unknown', reason: `the command failed with response code ${responseCode}` };
    default:
      return { kind: 'unknown', reason: `the command ended with ${status}, ${invocation.details}` };
  }
}
