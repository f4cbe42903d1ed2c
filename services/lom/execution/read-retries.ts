import { RunResponse } from '../../shared/gen/rune/v1/lom.js';
import type { Outcome } from '../../shared/gen/rune/v1/run.js';
import { isFinalRun } from '../../shared/messages/is-final.js';
import type { RunRecord, Store } from '../store/store.js';

const EVENTS_BYTES_MAX = 1024 * 1024;

/** An attempt of a run that may have started, and when the one after it may be sent. */
export interface EarlierAttempt {
  readonly outcome: Outcome;
  readonly nextMs: number;
}

/** Of the runs of an execution that have not ended: the newest attempt of each that may have started, by position. */
export async function readRetries(
  store: Pick<Store, 'events'>,
  executionId: string,
  runs: readonly RunRecord[],
): Promise<ReadonlyMap<number, EarlierAttempt>> {
  const found = new Map<number, EarlierAttempt>();
  for (const { position, node, attempt, state } of runs) {
    if (attempt < 2 || isFinalRun(state)) continue;
    const choice = { fromSeq: 1, bytesMax: EVENTS_BYTES_MAX, nodes: [node], kinds: ['retry' as const] };
    for (const { body } of await store.events(executionId, choice)) {
      const { event } = RunResponse.decode(body);
      if (event?.$case !== 'retry' || event.value.outcome === undefined) continue;
      const { outcome, nextAt } = event.value;
      found.set(position, { outcome, nextMs: nextAt?.getTime() ?? 0 });
    }
  }
  return found;
}
