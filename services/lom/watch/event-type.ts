import type { EventKind } from '../store/store.js';

const EVENT_TYPE: Readonly<Record<EventKind, string>> = {
  execution: 'EXECUTION_STATE_CHANGED',
  state: 'ACTION_STARTED',
  log: 'ACTION_LOG',
  progress: 'ACTION_PROGRESS',
  outcome: 'ACTION_RESULT',
  logTruncated: 'ACTION_LOG_TRUNCATED',
  waiting: 'ACTION_WAITING',
  retry: 'ACTION_RETRY_SCHEDULED',
};

/** The event_type in the header of an event. */
export function eventTypeOf(kind: EventKind): string {
  return EVENT_TYPE[kind];
}
