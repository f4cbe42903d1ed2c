/** Every bound of the SSH transport. Times in milliseconds. */
export interface SshSettings {
  /** sshd's MaxSessions is 10 by default, of which about half is usable while sessions come and go. */
  readonly channelsPerConnectionMax: number;
  readonly connectionsPerNodeMax: number;
  /** Connections in all, those being made included. */
  readonly connectionsMax: number;
  /** Connections being made to one address and port: sshd's MaxStartups drops bursts. */
  readonly handshakesPerNodeMax: number;
  /** Key exchanges and logins in progress in all; a node that has not spoken yet does not count. */
  readonly handshakesMax: number;
  /** A node that stalls in the middle of the handshake no longer counts after this time. */
  readonly handshakeHoldMs: number;
  /** How often a connection is tried that the node drops before the key exchange, as sshd does when it is busy. */
  readonly connectAttemptsMax: number;
  /** Runs that wait for a connection, in all. */
  readonly waitersMax: number;
  /** How long a run waits for a place on the connections of its node before another one is made. */
  readonly growAfterMs: number;
  /** After a failed attempt to make another connection to a node that has one. */
  readonly growPauseMs: number;
  /** A connection without channels is closed after this time. */
  readonly idleMs: number;
  /** A connection takes no new channel after this age. */
  readonly ageMsMax: number;
  readonly keepaliveIntervalMs: number;
  readonly keepaliveCountMax: number;
  /** A connection that does not open a channel in this time is replaced. */
  readonly channelOpenTimeoutMs: number;
  /** A connection that does not close a channel in this time takes no new one. */
  readonly channelCloseTimeoutMs: number;
  /** How long known_hosts files are trusted not to have changed. */
  readonly knownHostsRecheckMs: number;
}

/** What a mediator uses unless it is told otherwise. */
export const DEFAULT_SSH_SETTINGS: SshSettings = {
  channelsPerConnectionMax: 4,
  connectionsPerNodeMax: 16,
  connectionsMax: 1_024,
  handshakesPerNodeMax: 4,
  handshakesMax: 32,
  handshakeHoldMs: 2_000,
  connectAttemptsMax: 5,
  waitersMax: 10_000,
  growAfterMs: 100,
  growPauseMs: 1_000,
  idleMs: 60_000,
  ageMsMax: 3_600_000,
  keepaliveIntervalMs: 10_000,
  keepaliveCountMax: 3,
  channelOpenTimeoutMs: 5_000,
  channelCloseTimeoutMs: 5_000,
  knownHostsRecheckMs: 1_000,
};
