/** Which replicas live: over PostgreSQL by the database's clock, over SQLite by the lock of the file. See Store. */
export interface Leases {
  /** Whether owners whose lease has not ended keep their executions; otherwise every other owner is dead. */
  readonly kept: boolean;
  renew(owner: string, leaseMs: number): Promise<boolean>;
  end(owner: string): Promise<void>;
}

/** One process has the file: every other owner is dead. */
export const NO_LEASES: Leases = {
  kept: false,
  renew: () => Promise.resolve(true),
  end: () => Promise.resolve(),
};
