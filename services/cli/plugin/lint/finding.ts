/** Something that is wrong with a plugin, or that its author should look at. */
export interface Finding {
  /** As the person named it. */
  readonly file: string;
  /** From 1; absent for a whole file. */
  readonly line?: number;
  readonly severity: 'error' | 'warning';
  /** What was broken, in UPPER_SNAKE, or the number of shellcheck's own rule. */
  readonly rule: string;
  readonly message: string;
}
