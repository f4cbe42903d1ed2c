import { createHash } from 'node:crypto';
import type { RunResponse } from '../../services/shared/gen/rune/v1/lom.js';

/** What all watchers of all executions saw. */
export interface EventLedger {
  /** Notes what a watcher saw. Throws when another one saw something else under the same number. */
  note(event: Omit<RunResponse, 'header'>): void;
  /** Numbers of the events of an execution that somebody saw, in the order in which they came first. */
  seen(executionId: string): readonly number[];
  /** Events that were noted, and how many different ones that were. */
  readonly noted: number;
  readonly different: number;
}

/** Starts an empty ledger. It keeps a digest of each event. */
export function createEventLedger(): EventLedger {
  const executions = new Map<string, Map<number, string>>();
  let noted = 0;
  let different = 0;
  return {
    note(event) {
      const { executionId, seq } = event;
      const text = JSON.stringify({ ...event, header: undefined });
      const digest = createHash('sha256').update(text).digest('base64');
      const events = executions.get(executionId) ?? new Map<number, string>();
      executions.set(executionId, events);
      noted += 1;
      const known = events.get(seq);
      if (known === undefined) {
        different += 1;
        events.set(seq, digest);
      } else if (known !== digest)
        throw new Error(`event ${seq} of ${executionId} is not what others saw: ${text}`);
    },
    seen: (executionId) => [...(executions.get(executionId)?.keys() ?? [])],
    get noted() {
      return noted;
    },
    get different() {
      return different;
    },
  };
}
