/** What happened so far; only ever grows. */
export interface PoolCounters {
  /** Attempts to connect, probes and repeated ones included. */
  handshakes: number;
  handshakesFailed: number;
  /** Connections made because those to the node were full. */
  grown: number;
  /** Connections that broke, did not answer, or whose host key is no longer trusted. */
  evictions: number;
  /** Connections that ended because they were idle or old. */
  expired: number;
  /** Channels that sshd refused. */
  refusals: number;
  /** Runs whose first connection was dead before their channel was open. */
  replaced: number;
  /** Places for a channel that were given, … */
  taken: number;
  /** … and those of them on a connection that was there before it was asked for. */
  takenWarm: number;
  /** Spare shells that were made ready, … */
  sparesMade: number;
  /** … and those of them that a run has taken. */
  sparesTaken: number;
}

/** The pool at this moment, and what happened so far. */
export interface PoolMetrics extends Readonly<PoolCounters> {
  readonly nodes: number;
  readonly open: number;
  readonly idle: number;
  readonly connecting: number;
  readonly waiting: number;
  readonly channels: number;
  /** Spare shells. */
  readonly spares: number;
}

export function createPoolCounters(): PoolCounters {
  return {
    handshakes: 0,
    handshakesFailed: 0,
    grown: 0,
    evictions: 0,
    expired: 0,
    refusals: 0,
    replaced: 0,
    taken: 0,
    takenWarm: 0,
    sparesMade: 0,
    sparesTaken: 0,
  };
}
