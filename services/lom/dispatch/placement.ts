/** The one process that has a run, or is about to get it. */
export interface Placement {
  readonly address: string;
  readonly instanceId: string;
}
