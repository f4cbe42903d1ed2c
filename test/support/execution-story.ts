import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { RunResponse } from '../../services/shared/gen/rune/v1/lom.js';
import { ExecutionState, type Outcome, type RunState } from '../../services/shared/gen/rune/v1/run.js';
import { assertNoGap } from './execution-events.js';

/** What all events of an execution say together. */
export interface ExecutionStory {
  readonly state: ExecutionState;
  /** Outcomes by run id. */
  readonly outcomes: ReadonlyMap<string, Outcome>;
  /** Text of all log lines, by run id. */
  readonly logs: ReadonlyMap<string, readonly string[]>;
}

/**
 * Reads the events of an execution from its first to its last, which must have no gap, one outcome for each run, and a final state
 * that counts exactly those.
 */
export function readStory(events: readonly RunResponse[], runs: number): ExecutionStory {
  assertNoGap(events);
  const outcomes = new Map<string, Outcome>();
  const logs = new Map<string, string[]>();
  for (const { runId, event } of events) {
    if (event?.$case === 'log') {
      assert.equal(event.value.droppedBytes, 0, 'some of the log is missing');
      const texts = event.value.lines.map(({ content }) =>
        content?.$case === 'text' ? content.value : '<raw>',
      );
      logs.set(runId, [...(logs.get(runId) ?? []), ...texts]);
    }
    if (event?.$case !== 'outcome') continue;
    assert.ok(!outcomes.has(runId), `the run ${runId} has two outcomes`);
    outcomes.set(runId, event.value);
  }
  assert.equal(outcomes.size, runs);
  const last = events.at(-1)?.event;
  assert.ok(last?.$case === 'execution', 'the last event is not the final state');
  assert.ok(last.value.state >= ExecutionState.SUCCEEDED, `${last.value.state} is no final state`);
  const counted = new Map<RunState, number>();
  for (const { state } of outcomes.values()) counted.set(state, (counted.get(state) ?? 0) + 1);
  assert.deepEqual(
    new Map(last.value.counts.map(({ state, count }) => [state, count])),
    counted,
    'the final state counts other outcomes',
  );
  return { state: last.value.state, outcomes, logs };
}

/** How often each run id stands in the file that the action append-run writes. */
export async function appendedRuns(path: string): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (const runId of (await readFile(path, 'utf8').catch(() => '')).split('\n')) {
    if (runId !== '') counts.set(runId, (counts.get(runId) ?? 0) + 1);
  }
  return counts;
}
