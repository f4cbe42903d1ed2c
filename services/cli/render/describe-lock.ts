import type { LockHolder, LockWait, NodeLock } from '../../shared/gen/rune/v1/lom.js';
import { formatTime } from './format-time.js';

/** The run that has a node, in words that are not escaped yet. */
function holderWords({ action, executionId, since, until }: LockHolder): string {
  const lost = until === undefined ? '' : `, LOST, keeps it until ${formatTime(until)}`;
  return `${action} (execution ${executionId}, since ${formatTime(since)}${lost})`;
}

function behindWords({ holder, limit }: LockWait): string {
  if (limit === undefined) return holder === undefined ? '' : ` behind ${holderWords(holder)}`;
  return ` behind ${limit.running} ${limit.running === 1 ? 'run' : 'runs'} of ${limit.action}, as many as its manifest allows`;
}

/** A place in a queue, in words that are not escaped yet: "waits at place 1 behind …, until … at most". */
export function waitWords(wait: LockWait): string {
  const { place, until } = wait;
  const behind = behindWords(wait);
  return `waits at place ${place}${behind}, until ${formatTime(until)} at most`;
}

/** Who has a node and how many wait for it, one line each, not escaped yet; nothing for a node that nobody has. */
export function lockLines({ holder, waiting }: NodeLock): string[] {
  return [
    ...(holder === undefined ? [] : [`locked by: ${holderWords(holder)}`]),
    ...(waiting === 0 ? [] : [`waiting: ${waiting === 1 ? '1 run' : `${waiting} runs`}`]),
  ];
}
