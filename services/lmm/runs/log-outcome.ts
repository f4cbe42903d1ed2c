import { isErrorName } from '../../shared/messages/eps.js';
import { ERRORS, type ErrorRow } from '../../shared/errors.js';
import { RunState, type Outcome } from '../../shared/gen/rune/v1/run.js';
import type { Logger } from '../../shared/logging/logger.js';
import { outcomeFields } from '../../shared/logging/outcome-log.js';

/** Ends that are a matter between the plugin and its caller; every other one asks for whoever looks after the nodes. */
const ORDINARY = new Set<ErrorRow['exit']>(['PLUGIN_FAILED', 'TIMED_OUT', 'CANCELLED']);

/**
 * One line for a run that did not succeed: info when its plugin failed or was stopped, warn when the node could not be used
 * or the outcome is not known. A plugin's own message may hold anything and stays out of it.
 */
export function logOutcome(logger: Logger, outcome: Outcome, about: Readonly<Record<string, unknown>>): void {
  if (outcome.state === RunState.SUCCEEDED) return;
  const name = outcome.error?.errorData?.name ?? '';
  const fields = { ...about, ...outcomeFields(outcome) };
  if (isErrorName(name) && ORDINARY.has(ERRORS[name].exit)) {
    logger.info('run did not succeed', {
      ...fields,
      exit_code: outcome.exitCode,
      signal: outcome.signal,
    });
    return;
  }
  logger.warn('run did not succeed', { ...fields, error_message: outcome.error?.errorData?.message });
}
