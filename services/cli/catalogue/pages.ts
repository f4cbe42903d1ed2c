import { RuneError } from '../../shared/errors.js';
import type { CallOptions } from '../../shared/rpc/rpc-client.js';
import type {
  Execution,
  ExecutionRun,
  GetExecutionRequest,
  InventorySource,
  ListExecutionsRequest,
} from '../../shared/gen/rune/v1/lom.js';
import type { ActionCapability } from '../../shared/gen/rune/v1/mrs.js';
import type { ListModulesRequest, RegisteredModule } from '../../shared/gen/rune/v1/registry.js';
import type { Node } from '../../shared/gen/rune/v1/run.js';
import type { LomClient } from '../client.js';

/** No catalogue has more pages; a service that never ends its pages must not keep us for ever. */
const PAGES_MAX = 1_000;
/** The most that the service gives. */
const PAGE_SIZE = 1_000;
/** No execution has more runs, and a page may hold a single one if its outcome is large. */
const RUNS_MAX = 10_000;

async function* pages<T>(
  fetch: (page: {
    pageSize: number;
    pageToken: string;
  }) => Promise<{ items: readonly T[]; nextPageToken: string }>,
  { pageSize = PAGE_SIZE, pagesMax = PAGES_MAX } = {},
): AsyncGenerator<T, void, undefined> {
  let pageToken = '';
  for (let page = 0; page < pagesMax; page += 1) {
    const { items, nextPageToken } = await fetch({ pageSize, pageToken });
    yield* items;
    if (nextPageToken === '') return;
    pageToken = nextPageToken;
  }
}

/** Every action, page after page. */
export function allActions(client: Pick<LomClient, 'listActions'>, call: CallOptions) {
  return pages<ActionCapability>(async (page) => {
    const { actions, nextPageToken } = await client.listActions(page, call);
    return { items: actions, nextPageToken };
  });
}

/** Every node that `targets` selects, or all of them, page after page; `onSources` hears what the inventory is made of. */
export function allNodes(
  client: Pick<LomClient, 'listNodes'>,
  call: CallOptions,
  targets?: { groups: string[]; labels: Record<string, string>; allowEmpty: boolean },
  onSources?: (sources: readonly InventorySource[]) => void,
) {
  return pages<Node>(async (page) => {
    const answer = await client.listNodes({ ...page, ...(targets && { targets }) }, call);
    const { nodes, nextPageToken, inventorySources } = answer;
    if (page.pageToken === '') onSources?.(inventorySources);
    return { items: nodes, nextPageToken };
  });
}

/** Every module that `filter` chooses, page after page. */
export function allModules(
  client: Pick<LomClient, 'listModules'>,
  call: CallOptions,
  filter: Partial<ListModulesRequest> = {},
) {
  return pages<RegisteredModule>(async (page) => {
    const { modules, nextPageToken } = await client.listModules({ ...filter, ...page }, call);
    return { items: modules, nextPageToken };
  });
}

/** Executions that `filter` chooses, newest first, page after page; asked for as if `limit` of them were wanted. */
export function allExecutions(
  client: Pick<LomClient, 'listExecutions'>,
  call: CallOptions,
  filter: Partial<ListExecutionsRequest>,
  limit = PAGE_SIZE,
) {
  return pages<Execution>(
    async (page) => {
      const { executions, nextPageToken } = await client.listExecutions({ ...filter, ...page }, call);
      return { items: executions, nextPageToken };
    },
    { pageSize: Math.min(PAGE_SIZE, limit) },
  );
}

/** An execution and all its runs, page after page. */
export async function executionWithRuns(
  client: Pick<LomClient, 'getExecution'>,
  call: CallOptions,
  request: Pick<GetExecutionRequest, 'executionId' | 'outcomes'>,
): Promise<{ execution: Execution; runs: AsyncGenerator<ExecutionRun, void, undefined> }> {
  const first = await client.getExecution({ ...request, pageSize: PAGE_SIZE }, call);
  const { execution } = first;
  if (execution === undefined) throw new RuneError('INTERNAL', 'The service answered without an execution.');
  const runs = pages<ExecutionRun>(
    async (page) => {
      const { runs: items, nextPageToken } =
        page.pageToken === '' ? first : await client.getExecution({ ...request, ...page }, call);
      return { items, nextPageToken };
    },
    { pagesMax: RUNS_MAX },
  );
  return { execution, runs };
}
