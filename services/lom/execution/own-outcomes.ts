import { cancelWords } from '../../shared/messages/cancel-words.js';
import { toEps } from '../../shared/messages/eps.js';
import { RuneError } from '../../shared/errors.js';
import { Outcome, RunState, StopReason } from '../../shared/gen/rune/v1/run.js';
import type { RunIdentity } from '../dispatch/run-identity.js';

/** The outcomes of one run that no mediator tells. */
export interface OwnOutcomes {
  /** Of a run that certainly did not start. */
  notStarted(error: RuneError): Outcome;
  /** Of one that was cancelled before it started. */
  cancelled(reason: string): Outcome;
  /** Of one that was sent and not heard of again; nothing of it is left on its node after `stoppedOnNodeBy`. */
  lost(error: RuneError, stoppedOnNodeBy: Date): Outcome;
}

/** Makes the outcomes of this run of this action. */
export function createOwnOutcomes(
  node: string,
  action: string,
  { header, executionId, runId, attempt }: RunIdentity,
): OwnOutcomes {
  const ended = (state: RunState, error: RuneError, fields: Partial<Outcome> = {}): Outcome =>
    Outcome.fromPartial({
      state,
      endedAt: new Date(),
      error: toEps(error, {
        source: 'lom',
        header,
        facts: { node, action, executionId, runId, attempt, ...error.facts },
      }),
      ...fields,
    });

  return {
    notStarted: (error) => ended(RunState.FAILED, error),
    cancelled: (reason) =>
      ended(
        RunState.CANCELLED,
        new RuneError('RUN_CANCELLED', `The run was cancelled before it started${cancelWords(reason)}.`),
        { stopReason: StopReason.CANCEL, cancelConfirmed: true },
      ),
    lost: (error, stoppedOnNodeBy) =>
      ended(
        RunState.LOST,
        new RuneError('OUTCOME_UNKNOWN', `The mediator was lost while it had the run: ${error.message}`),
        { maySurvive: true, stoppedOnNodeBy },
      ),
  };
}
