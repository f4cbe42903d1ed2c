import type { LomClient } from '../../services/cli/client.js';
import { RunState, type ExecutionState } from '../../services/shared/gen/rune/v1/run.js';
import { runStateName } from '../../services/shared/logging/outcome-log.js';
import type { EventLedger } from './event-ledger.js';
import { createPersistentCaller } from './persistent-caller.js';
import type { Random } from './random.js';
import type { StormRun } from './perform-task.js';
import type { Traces } from './trace.js';

/** Three records of the same executions. */
export interface Records {
  /** What the callers were told. */
  readonly executions: ReadonlyMap<string, ExecutionState>;
  readonly runs: ReadonlyMap<string, StormRun>;
  readonly ledger: EventLedger;
  /** What plugins wrote on the nodes. */
  readonly traces: Traces;
  /** One of each replica, which show what is in the store. */
  readonly clients: readonly LomClient[];
}

/** How many runs the store has by state, and how many of them wrote that they began. */
export type Comparison = Readonly<Record<string, { readonly runs: number; readonly began: number }>>;

const PAGE = 1_000;
const AT_ONCE = 8;

/**
 * Compares what is recorded with what callers saw and what nodes wrote: executions and runs are those that were asked for, every
 * event is there from the first to the last on each replica, a run wrote one beginning at most, one that succeeded exactly one and
 * one that never started none. `report` hears what differs.
 */
export async function compareWithStore(
  { executions, runs, ledger, traces, clients }: Records,
  random: Random,
  signal: AbortSignal,
  report: (problem: string, run?: StormRun) => void,
): Promise<Comparison> {
  const comparison: Record<string, { runs: number; began: number }> = {};
  const recorded = new Set<string>();

  const compareEvents = async (executionId: string): Promise<void> => {
    const counts = await Promise.all(
      clients.map(async (client) => {
        let count = 0;
        const { watch } = createPersistentCaller([client], random, ledger, signal);
        for await (const { seq } of watch(executionId, 1)) count = seq;
        return count;
      }),
    );
    const seen = ledger.seen(executionId).length;
    if (counts.some((count) => count !== seen))
      report(`The replicas show ${counts.join(' and ')} events of ${executionId}, and ${seen} were seen`);
  };

  const { ask } = createPersistentCaller(clients, random, ledger, signal);
  const compareRuns = async (executionId: string): Promise<void> => {
    const { execution, runs: stored } = await ask((client, options) =>
      client.getExecution({ executionId, pageSize: PAGE }, options),
    );
    if (execution?.state !== executions.get(executionId))
      report(`The execution ${executionId} is recorded in another state than was shown`);
    for (const { runId, node, state, startedAt } of stored) {
      const run = runs.get(runId);
      if (run?.outcome === undefined || run.outcome.state !== state || run.executionId !== executionId) {
        report(
          `The run ${runId} on ${node} is recorded as ${runStateName(state)}, and was shown otherwise`,
          run,
        );
        continue;
      }
      const { starts } = traces.of(runId);
      const counts = (comparison[runStateName(state)] ??= { runs: 0, began: 0 });
      counts.runs += 1;
      counts.began += starts;
      const neverStarted = startedAt === undefined && state !== RunState.LOST;
      if (starts > 1 || (neverStarted && starts > 0) || (state === RunState.SUCCEEDED && starts !== 1))
        report(`A run that is recorded as ${runStateName(state)} began ${starts} times on its node`, run);
      recorded.add(runId);
    }
  };

  let accepted = 0;
  for (let pageToken: string | undefined; pageToken !== '';) {
    const from = { pageSize: PAGE, ...(pageToken === undefined ? {} : { pageToken }) };
    const page = await ask((client, options) => client.listExecutions(from, options));
    accepted += page.executions.length;
    for (const { executionId } of page.executions)
      if (!executions.has(executionId)) report(`Nobody was told of the execution ${executionId}`);
    pageToken = page.nextPageToken;
  }
  if (accepted !== executions.size)
    report(`${executions.size} executions were accepted, and ${accepted} are recorded`);
  const ids = executions.keys();
  const work = async (): Promise<void> => {
    for (const id of ids) {
      await compareEvents(id);
      await compareRuns(id);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  for (const [runId, run] of runs)
    if (!recorded.has(runId)) report(`The run ${runId} was shown and is not recorded`, run);
  return comparison;
}
