/** Instances of one source; more are refused, whatever the service goes on to tell. */
export const INSTANCES_MAX = 100_000;

/** An instance as a service of AWS tells of it. */
export interface FoundInstance {
  readonly id: string;
  readonly privateAddress: string | undefined;
  readonly publicAddress: string | undefined;
  /** What templates can use, by field. */
  readonly fields: ReadonlyMap<string, string>;
}
