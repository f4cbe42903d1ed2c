import { RuneError } from '../../shared/errors.js';
import type { Outcome } from '../../shared/gen/rune/v1/run.js';
import type { MediatedMessage } from '../dispatch/mediated-message.js';
import { NotOwner } from './recorder.js';
import type { RunLog } from './run-log.js';

/** How a stream of messages ended without an outcome. */
export interface Break {
  readonly error: RuneError;
  /** It had brought at least one message. */
  readonly heard: boolean;
  /** It ended as if nothing were to follow. */
  readonly ended: boolean;
}

/** What a stream of messages ended with. */
export type Ending = Outcome | Break;

/** Whether it ended without an outcome. */
export const isBreak = (ending: Ending): ending is Break => 'heard' in ending;

/**
 * Relays what a mediator says of a run to its log until the outcome, which is not recorded yet. `onFirst` is waited for before the
 * first message is. Throws NotOwner, and anything once the signal has aborted.
 */
export async function relayMessages(
  messages: AsyncGenerator<MediatedMessage, void, undefined>,
  log: RunLog,
  signal: AbortSignal,
  onFirst: () => unknown,
): Promise<Ending> {
  let heard = false;
  try {
    for await (const message of messages) {
      if (!heard) await onFirst();
      heard = true;
      const outcome = await log.relay(message);
      if (outcome !== undefined) return outcome;
    }
    return { heard, ended: true, error: new RuneError('INTERNAL', 'its stream ended early.') };
  } catch (thrown) {
    if (thrown instanceof NotOwner || signal.aborted) throw thrown;
    const error = RuneError.from(thrown);
    if (error.name === 'STALE_OWNER') throw new NotOwner(error.message);
    return { heard, ended: false, error };
  }
}
