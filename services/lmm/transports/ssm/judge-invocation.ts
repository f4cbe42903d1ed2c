import { RuneError } from '../../../shared/errors.js';
import type { StopReason } from '../../../shared/gen/rune/v1/run.js';
import type { NodeEnding, RunPhases } from '../transport.js';
import { interpretReport } from './interpret-report.js';
import { endOf, type InvocationPast } from './invocation-state.js';
import type { NodeReport } from './report.js';
import type { SsmInvocation } from './ssm-api.js';
import type { SsmRun } from './ssm-run.js';
import { unableError } from './unable-error.js';

/** What is known of a run besides what its node reported. */
export interface KnownOfRun {
  readonly run: SsmRun;
  readonly past: InvocationPast;
  readonly askedReason: StopReason | undefined;
  readonly isTimedOut: boolean;
  readonly phases: RunPhases;
}

/** Makes a lost ending, for this reason. */
export type Lose = (reason: string, started?: boolean) => NodeEnding;

/** How a run ended by what its node reported. */
export function concludeRun(
  report: Extract<NodeReport, { kind: 'report' }>,
  known: KnownOfRun,
  lose: Lose,
): NodeEnding {
  const { command, sink } = known.run;
  const ending = interpretReport(report, { command, sink, ...known });
  return ending.kind === 'unclear'
    ? lose('the node did not say how the plugin ended', ending.started)
    : ending;
}

/** How a run ended by what its node reported, if anything, and what the service says. Throws a RuneError if certainly nothing ran. */
export function judgeInvocation(
  report: NodeReport,
  invocation: SsmInvocation,
  known: KnownOfRun,
  lose: Lose,
): NodeEnding {
  const { command } = known.run;
  const about = { node: command.target.name, runId: command.runId };
  if (report.kind === 'report') return concludeRun(report, known, lose);
  if (report.kind === 'unable') throw unableError(command, report);
  if (report.kind === 'again') return lose('the node was started anew while it ran');
  if (report.kind === 'cut') return lose('a part of what the node reported is missing');
  const end = endOf(invocation, known.past);
  if (end.kind !== 'never-ran') return lose(end.reason);
  const isCancelled = end.byCancel && !known.past.waitedTooLong;
  const reason = end.byCancel && !isCancelled ? 'the command did not reach the node in time' : end.reason;
  const message = `Nothing ran on ${about.node}: ${reason}.`;
  throw new RuneError(isCancelled ? 'RUN_CANCELLED' : 'SSM_NOT_DELIVERED', message, about);
}
