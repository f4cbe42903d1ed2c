import type { CallOptions } from '../../shared/rpc-client.js';
import type { ActionCapability } from '../../shared/gen/rune/v1/mrs.js';
import type { Node } from '../../shared/gen/rune/v1/run.js';
import type { LomClient } from '../client.js';

/** No catalogue has more pages; a service that never ends its pages must not keep us for ever. */
const PAGES_MAX = 1_000;
/** The most that the service gives. */
const PAGE_SIZE = 1_000;

async function* pages<T>(
  fetch: (page: {
    pageSize: number;
    pageToken: string;
  }) => Promise<{ items: readonly T[]; nextPageToken: string }>,
): AsyncGenerator<T, void, undefined> {
  let pageToken = '';
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const { items, nextPageToken } = await fetch({ pageSize: PAGE_SIZE, pageToken });
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

/** Every node that `targets` selects, or all of them, page after page. */
export function allNodes(
  client: Pick<LomClient, 'listNodes'>,
  call: CallOptions,
  targets?: { groups: string[]; labels: Record<string, string>; allowEmpty: boolean },
) {
  return pages<Node>(async (page) => {
    const { nodes, nextPageToken } = await client.listNodes({ ...page, ...(targets && { targets }) }, call);
    return { items: nodes, nextPageToken };
  });
}
