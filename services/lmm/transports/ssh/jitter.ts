import { setTimeout as wait } from 'node:timers/promises';

const PAUSE_MS = 20;
const PAUSE_MS_MAX = 500;

/**
 * Pauses before another try: twice as long each time, and by chance up to half more or less, so that many who wait do not come
 * back together. False, at once, if the pause would end after the deadline (performance.now()) or the signal is aborted.
 */
export async function pauseWithJitter(
  tries: number,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const baseMs = Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** tries);
  const ms = baseMs * (0.5 + Math.random());
  if (signal.aborted || performance.now() + ms >= deadlineMs) return false;
  try {
    await wait(ms, undefined, { signal });
    return true;
  } catch {
    return false; // Aborted: the only way this wait rejects.
  }
}
