import { toMs } from '../../shared/messages/duration.js';
import { formatSize } from './format-size.js';
import { type Outcome, RunState } from '../../shared/gen/rune/v1/run.js';

/** A run's state in one or two words. */
export function stateWords(state: RunState): string {
  switch (state) {
    case RunState.QUEUED:
      return 'queued';
    case RunState.RUNNING:
      return 'running';
    case RunState.SUCCEEDED:
      return 'succeeded';
    case RunState.FAILED:
      return 'failed';
    case RunState.TIMED_OUT:
      return 'timed out';
    case RunState.CANCELLED:
      return 'cancelled';
    case RunState.SKIPPED:
      return 'skipped';
    case RunState.LOST:
      return 'LOST';
    default:
      return 'in an unknown state';
  }
}

/** How long the run took as the mediator saw it, in milliseconds; undefined if it does not say. */
export function outcomeMs({ phases }: Pick<Outcome, 'phases'>): number | undefined {
  if (phases === undefined) return undefined;
  const all = [phases.connect, phases.start, phases.run];
  const sum = all.reduce((total, phase) => total + (phase === undefined ? 0 : toMs(phase)), 0);
  return sum > 0 ? sum : undefined;
}

/** What a person must know about a run besides its state: whether the kill was confirmed, what may be left on the node. */
export function outcomeRemarks(outcome: Outcome, node: string): string[] {
  const { state, startedAt, cancelConfirmed, stoppedOnNodeBy } = outcome;
  const remarks: string[] = [];
  if (state === RunState.CANCELLED || state === RunState.TIMED_OUT) {
    remarks.push(
      cancelConfirmed
        ? 'kill confirmed: nothing of it is left on the node'
        : startedAt === undefined
          ? 'it had not started on the node'
          : `kill NOT confirmed: look on ${node} for what is left of it`,
    );
  }
  if (state === RunState.LOST && stoppedOnNodeBy !== undefined) {
    remarks.push(`the node stops it by itself at ${stoppedOnNodeBy.toISOString()} at the latest`);
  }
  if (outcome.maySurvive) remarks.push(`something it started may still be alive on ${node}`);
  if (outcome.leftProcesses > 0) remarks.push(`processes alive after its end: ${outcome.leftProcesses}`);
  if (outcome.logDroppedBytes > 0)
    remarks.push(`bytes of its log that were not passed on: ${outcome.logDroppedBytes}`);
  const notKeptBytes = outcome.result?.notKeptBytes ?? 0;
  if (notKeptBytes > 0)
    remarks.push(`its result of ${formatSize(notKeptBytes)} was not kept: too many results of one execution`);
  if (outcome.result?.dryRun === true) remarks.push('dry run: it changed nothing');
  return remarks;
}
