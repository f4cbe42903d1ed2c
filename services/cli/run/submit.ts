import { RuneError } from '../../shared/errors.js';
import type { Execution } from '../../shared/gen/rune/v1/lom.js';
import type { CallOptions } from '../../shared/rpc/rpc-client.js';
import { NOT_CONNECTED } from '../../shared/rpc/not-connected.js';
import { notAnswered } from './not-answered.js';
import { createPatience, isLost } from './patience.js';

/** An execution as it was submitted. */
export interface Submitted {
  readonly execution: Execution;
  /** An earlier request with the same request id made it. */
  readonly existing: boolean;
}

/**
 * Makes a call that carries this request id, so that repeating it is harmless, until it is answered. A service that is lost is
 * waited for, `tell` hears of it. Throws what the service refuses the call with, and OUTCOME_UNKNOWN where it may have accepted
 * it without a word.
 */
export async function submit(
  call: (options: CallOptions) => Promise<{ execution: Execution | undefined; existing: boolean }>,
  request: {
    readonly requestId: string;
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
    readonly resumeForMs: number;
    tell(text: string): Promise<void>;
  },
): Promise<Submitted> {
  const { requestId, timeoutMs, signal, resumeForMs, tell } = request;
  const patience = createPatience({
    forMs: resumeForMs,
    signal,
    tell: ({ message }) => tell(`the service was lost (${message}); trying for ${resumeForMs / 1000} s`),
  });
  let sent = false;
  for (;;) {
    try {
      const { execution, existing } = await call({ timeoutMs, signal });
      if (execution === undefined)
        throw new RuneError('INTERNAL', 'The service answered without an execution.');
      return { execution, existing };
    } catch (thrown) {
      const error = RuneError.from(thrown);
      sent ||= error.facts.reason !== NOT_CONNECTED;
      // Somebody who misspelt the address shall not wait, nor somebody who has said how long to wait for an answer.
      const wait = sent && error.name !== 'CALL_DEADLINE_EXCEEDED';
      if (wait && (await patience.tryAgain(error))) continue;
      throw sent && isLost(error) ? notAnswered(requestId, error) : error;
    }
  }
}
