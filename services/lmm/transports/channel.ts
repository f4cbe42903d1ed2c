import type { Readable, Writable } from 'node:stream';

/** How a channel ended: with the status of the remote process, or without any (the link was lost). */
export type ChannelEnd =
  | { readonly kind: 'exited'; readonly exitCode: number | null; readonly signal: string | null }
  | { readonly kind: 'lost'; readonly reason: string };

/** Three byte streams to one process on a node, over any link that gives them. */
export interface Channel {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves once, never rejects. */
  readonly ended: Promise<ChannelEnd>;
  /** Gives the channel up at once; harmless when it has ended. */
  destroy(): void;
}
