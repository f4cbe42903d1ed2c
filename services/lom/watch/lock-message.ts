import type { LockHolder, LockWait, NodeLock } from '../../shared/gen/rune/v1/lom.js';
import type * as stored from '../store/store.js';

function holderMessage(holder: stored.LockHolder | undefined): LockHolder | undefined {
  if (holder === undefined) return undefined;
  const { executionId, runId, node, action, sinceMs, untilMs } = holder;
  const until = untilMs === 0 ? undefined : new Date(untilMs);
  return { executionId, runId, node, action, since: new Date(sinceMs), until };
}

/** A place in a queue as callers see it. */
export function waitMessage({ place, holder, limit, askedMs, untilMs }: stored.LockWait): LockWait {
  return {
    place,
    holder: holderMessage(holder),
    limit,
    askedAt: new Date(askedMs),
    until: new Date(untilMs),
  };
}

/** The lock of a node as callers see it. */
export function lockMessage({ holder, waiting }: stored.NodeLock): NodeLock {
  return { holder: holderMessage(holder), waiting };
}

/** Who has a node, as a part of a sentence. */
export function holderWords(holder: stored.LockHolder | undefined): string {
  if (holder === undefined) return 'runs that came before';
  const { action, executionId, sinceMs, untilMs } = holder;
  const since = `since ${new Date(sinceMs).toISOString()}`;
  const lost =
    untilMs === 0 ? '' : `, which was lost and may be alive there until ${new Date(untilMs).toISOString()}`;
  return `${action} (execution ${executionId}) ${since}${lost}`;
}
