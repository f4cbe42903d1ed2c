/** A promise and what settles it. */
export interface Gate {
  readonly open: () => void;
  readonly opened: Promise<void>;
}

/** Makes a gate that is shut. */
export function gate(): Gate {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}
