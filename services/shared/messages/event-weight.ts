import type { Progress } from '../gen/rune/v1/run.js';

/** What an event costs in memory beyond its text or lines, in bytes. */
const EVENT_BYTES = 64;

/** What one event costs in memory, and whether it may be dropped when nobody reads. */
export interface EventWeight {
  readonly bytes: number;
  readonly droppable: boolean;
}

/** An event of a run or of an execution, as far as its weight goes. */
type Weighable =
  | { readonly $case: 'log'; readonly value: { readonly lines: Uint8Array } }
  | { readonly $case: 'progress'; readonly value: Progress }
  | { readonly $case: 'accepted' | 'state' | 'outcome' | 'execution' | 'logTruncated' };

/** What an event weighs in a queue. Log and progress come in any number and may be dropped; facts are few and may not. */
export function weighEvent(event: Weighable): EventWeight {
  switch (event.$case) {
    case 'log':
      return { bytes: EVENT_BYTES + event.value.lines.length, droppable: true };
    case 'progress':
      return { bytes: EVENT_BYTES + event.value.message.length, droppable: true };
    default:
      return { bytes: EVENT_BYTES, droppable: false };
  }
}
