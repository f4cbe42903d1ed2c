import { RuneError } from '../../shared/errors.js';

/** The error of a request that left without an answer: the service may have accepted it. */
export function notAnswered(requestId: string, cause: RuneError): RuneError {
  return new RuneError(
    'OUTCOME_UNKNOWN',
    `The service did not say whether it accepted the execution: ${cause.message} ` +
      `Look for it with rune executions list; the same command with --request-id ${requestId} shows it, or makes it where there is none.`,
    {},
    { cause },
  );
}
