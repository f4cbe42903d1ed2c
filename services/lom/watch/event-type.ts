import type { RunResponse } from '../../shared/gen/rune/v1/lom.js';

const EVENT_TYPE: Readonly<Record<NonNullable<RunResponse['event']>['$case'], string>> = {
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
export function eventTypeOf({ event }: Pick<RunResponse, 'event'>): string {
  return event === undefined ? '' : EVENT_TYPE[event.$case];
}
