import { quoted } from '../../../shared/fault.js';

/** Collects what is to be known of single instances, put together by kind: there may be thousands. */
export interface InstanceNotes {
  /** `what` is a sentence that ends before the instances; `value` is shown beside the id. */
  add(what: string, id: string, value?: string): void;
  /** One sentence for each kind. */
  list(): string[];
}

const EXAMPLES_MAX = 5;

/** No notes yet. */
export function createInstanceNotes(): InstanceNotes {
  const kinds = new Map<string, { count: number; readonly examples: string[] }>();
  return {
    add(what, id, value) {
      const kind = kinds.get(what) ?? { count: 0, examples: [] };
      kinds.set(what, kind);
      kind.count += 1;
      if (kind.examples.length < EXAMPLES_MAX)
        kind.examples.push(value === undefined ? id : `${id} (${quoted(value)})`);
    },
    list: () =>
      [...kinds].map(([what, { count, examples }]) => {
        const more = count - examples.length;
        return `${what}: ${examples.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
      }),
  };
}
