import {
  connect,
  type ConnectContext,
  type ConnectProgress,
  type ConnectResult,
  type SshTarget,
} from './connection.js';
import { pauseWithJitter } from './jitter.js';
import type { PoolCounters } from './pool-metrics.js';

/** How long somebody waits. */
export interface Patience {
  /** The whole connect timeout, for messages. */
  readonly timeoutMs: number;
  /** By performance.now(). */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/**
 * Connects as `connect` does. sshd drops connections when too many are being made: those are tried again, later and not in
 * step with others, within the deadline.
 */
export async function connectPersistently(
  target: SshTarget,
  context: ConnectContext & { readonly counters: PoolCounters },
  { timeoutMs, deadlineMs, signal }: Patience,
  progress: ConnectProgress,
): Promise<ConnectResult> {
  const { settings, counters } = context;
  for (let tries = 1; ; tries += 1) {
    counters.handshakes += 1;
    const leftMs = Math.max(1, deadlineMs - performance.now());
    const result = await connect(target, context, { timeoutMs, leftMs, signal }, progress);
    if (result.ok) return result;
    counters.handshakesFailed += 1;
    if (!result.dropped || tries >= settings.connectAttemptsMax) return result;
    if (!(await pauseWithJitter(tries, deadlineMs, signal))) return result;
  }
}
