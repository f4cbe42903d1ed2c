import type { ConnectLimits, ConnectResult, LookResult } from './connection.js';
import { pauseWithJitter } from './jitter.js';
import type { PoolCounters } from './pool-metrics.js';
import type { SshSettings } from './ssh-settings.js';

/** How long somebody waits. */
export interface Patience {
  /** The whole connect timeout, for messages. */
  readonly timeoutMs: number;
  /** By performance.now(). */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/**
 * Tries to connect. sshd drops connections when too many are being made: those are tried again, later and not in step with
 * others, within the deadline.
 */
export async function connectPersistently<Result extends ConnectResult | LookResult>(
  tryOnce: (limits: ConnectLimits) => Promise<Result>,
  { timeoutMs, deadlineMs, signal }: Patience,
  { settings, counters }: { readonly settings: SshSettings; readonly counters: PoolCounters },
): Promise<Result> {
  for (let tries = 1; ; tries += 1) {
    counters.handshakes += 1;
    const leftMs = Math.max(1, deadlineMs - performance.now());
    const result = await tryOnce({ timeoutMs, leftMs, signal });
    if (result.ok) return result;
    counters.handshakesFailed += 1;
    if (!result.dropped || tries >= settings.connectAttemptsMax) return result;
    if (!(await pauseWithJitter(tries, deadlineMs, signal))) return result;
  }
}
