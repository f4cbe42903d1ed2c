import assert from 'node:assert/strict';
import type { RunResponse } from '../../services/shared/gen/rune/v1/lom.js';
import type { ExecutionState, Outcome } from '../../services/shared/gen/rune/v1/run.js';

/** The outcomes among these events, by node. */
export const outcomesOf = (events: readonly RunResponse[]): ReadonlyMap<string, Outcome> =>
  new Map(
    events.flatMap(({ node, event }) => (event?.$case === 'outcome' ? [[node, event.value] as const] : [])),
  );

/** The outcome of the run on a node among these events. */
export const outcomeOf = (events: readonly RunResponse[], node = 'a'): Outcome | undefined =>
  outcomesOf(events).get(node);

/** The states of the execution, in their order. */
export const statesOf = (events: readonly RunResponse[]): ExecutionState[] =>
  events.flatMap(({ event }) => (event?.$case === 'execution' ? [event.value.state] : []));

/** The name of the error with which a run ended. */
export const errorOf = (outcome: Outcome | undefined): string | undefined => outcome?.error?.errorData?.name;

/** The events of an execution are numbered from 1 on without a gap. */
export function assertNoGap(events: readonly RunResponse[]): void {
  assert.deepEqual(
    events.map(({ seq }) => seq),
    events.map((_event, index) => index + 1),
  );
}
