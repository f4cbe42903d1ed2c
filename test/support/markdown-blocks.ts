/** A fenced block of a page, with the heading it stands under. */
export interface Block {
  /** What stands behind the opening fence, such as "bash". */
  readonly kind: string;
  readonly text: string;
  readonly heading: string;
}

/** The fenced blocks of a page in their order. */
export function blocksOf(page: string): Block[] {
  let heading = '';
  return [...page.matchAll(/^#+ (.*)$|^```(.*)\n([^]*?)^```$/gm)].flatMap(([, title, kind, text]) => {
    if (title !== undefined) heading = title;
    return kind === undefined || text === undefined ? [] : [{ kind, text, heading }];
  });
}
