import { setFlagsFromString } from 'node:v8';

/** How much larger than what was alive the heap may become before all of it is looked through again. */
const GROWTH_PERCENT = 200;

/**
 * Lets the heap of this process become three times what was alive when it was last collected as a whole. Left to itself, the engine
 * looks through a small heap again after 8 MiB, to which short-lived buffers count, and frees those only when they have 32 MiB: while
 * log streams through, it would do little else.
 */
export function letHeapGrow(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
}
