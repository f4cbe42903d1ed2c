import type { Credential } from '../../credentials/credentials.js';

/** Whom to connect to, and as whom. */
export interface SshTarget {
  /** The node's name in the inventory, for messages. */
  readonly node: string;
  readonly address: string;
  readonly port: number;
  readonly user: string;
  readonly credential: Credential;
  /** The name under which known_hosts holds its keys, if it is another one. */
  readonly hostKeyAlias: string | undefined;
  /** Pinned fingerprints; empty for none. */
  readonly pins: readonly string[];
  /** Offer algorithms with SHA-1 and CBC too. */
  readonly weakAlgorithms: boolean;
  /** The host that connections to this one go through. */
  readonly via: SshTarget | undefined;
}

/** A host to look at, without logging in. */
export type SshHost = Omit<SshTarget, 'user' | 'credential'>;
