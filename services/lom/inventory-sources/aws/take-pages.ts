import { INSTANCES_MAX, type FoundInstance } from './found-instance.js';

/** A part of a list, and where the next one begins; undefined after the last one. */
export interface InstancePage {
  readonly instances: readonly FoundInstance[];
  readonly nextToken: string | undefined;
}

/** Takes one page after the other until the last one. Throws when a service tells of more than INSTANCES_MAX instances. */
export async function takePages(
  page: (nextToken: string | undefined) => Promise<InstancePage>,
): Promise<FoundInstance[]> {
  const found: FoundInstance[] = [];
  let nextToken: string | undefined;
  do {
    const { instances, nextToken: next } = await page(nextToken);
    if (next !== undefined && next === nextToken) throw new Error('its pages do not go on');
    found.push(...instances);
    if (found.length > INSTANCES_MAX) throw new Error(`there are more than ${INSTANCES_MAX} instances`);
    nextToken = next;
  } while (nextToken !== undefined);
  return found;
}
