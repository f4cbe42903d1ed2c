import { isOver, limitOf, type Command, type Invocation } from './command.js';

/** What a command as a whole comes to. */
export interface CommandSummary {
  readonly Status: string;
  readonly StatusDetails: string;
  readonly TargetCount: number;
  readonly CompletedCount: number;
  readonly ErrorCount: number;
  readonly DeliveryTimedOutCount: number;
}

/** Sums up the invocations of a command. */
export function summarizeCommand(command: Command): CommandSummary {
  const all = [...command.invocations.values()];
  const count = (matches: (each: Invocation) => boolean): number => all.filter(matches).length;
  const errors = count(({ details }) => details === 'Failed' || details === 'ExecutionTimedOut');
  const [status, details] = statusOf(command, all, errors);
  return {
    Status: status,
    StatusDetails: details,
    TargetCount: all.length,
    CompletedCount: count(isOver),
    ErrorCount: errors,
    DeliveryTimedOutCount: count((each) => each.details === 'DeliveryTimedOut'),
  };
}

function statusOf(command: Command, all: readonly Invocation[], errors: number): readonly [string, string] {
  if (all.length === 0) return ['Success', 'NoInstancesInTag'];
  if (!all.every(isOver)) {
    if (command.cancelRequested) return ['Cancelling', 'Cancelling'];
    return all.every(({ status }) => status === 'Pending')
      ? ['Pending', 'Pending']
      : ['InProgress', 'InProgress'];
  }
  if (command.cancelRequested) return ['Cancelled', 'Cancelled'];
  if (all.every(({ status }) => status === 'Success')) return ['Success', 'Success'];
  if (errors > limitOf(command.maxErrors, all.length)) {
    const timedOut = all.some(({ details }) => details === 'ExecutionTimedOut');
    return timedOut ? ['TimedOut', 'ExecutionTimedOut'] : ['Failed', 'Failed'];
  }
  if (all.every(({ details }) => details === 'DeliveryTimedOut')) return ['TimedOut', 'DeliveryTimedOut'];
  if (all.every(({ details }) => details === 'Undeliverable')) return ['Failed', 'Failed'];
  return ['Failed', 'Incomplete'];
}
