import type { EpsError } from '../../shared/gen/rune/v1/eps.js';
import type { RunResponse } from '../../shared/gen/rune/v1/lom.js';
import type { Tally } from './tally.js';

/** Shows one execution while it happens. Every call resolves when the reader has kept up. */
export interface View {
  /** What `tally` knows of an execution before any event of it is shown. */
  begin(tally: Tally): Promise<void>;
  /** One event; `tally` has it already. */
  event(event: RunResponse, tally: Tally): Promise<void>;
  /** A sentence for the person who watches. */
  notice(text: string): Promise<void>;
  /** The stream is over: with its final state, or early because of `error`, or because the person left. */
  end(tally: Tally, error?: EpsError): Promise<void>;
}
