import type { RunRecord, Store } from '../store/store.js';

/** Runs that one reading of the store takes. */
const RUNS_PAGE_MAX = 1000;

/** Every run of an execution, in the order of the plan. */
export async function allRuns(store: Pick<Store, 'runs'>, executionId: string): Promise<RunRecord[]> {
  const runs: RunRecord[] = [];
  for (;;) {
    const page = await store.runs(executionId, { after: runs.at(-1)?.position ?? -1, limit: RUNS_PAGE_MAX });
    runs.push(...page);
    if (page.length < RUNS_PAGE_MAX) return runs;
  }
}
