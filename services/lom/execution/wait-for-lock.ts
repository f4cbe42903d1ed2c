import { RuneError } from '../../shared/errors.js';
import { holderWords } from '../watch/lock-message.js';
import type { LockTurn, LockTurns } from './lock-turns.js';
import type { LockRequest, LockWait, NodeLock, Store } from '../store/store.js';

/** What waiting for a lock works with. */
export interface LockDeps {
  readonly store: Pick<Store, 'coolsDownUntilMs' | 'nodeLock' | 'lockWaits'>;
  readonly turns: LockTurns;
  /** The store is asked again after so long while it is away. */
  readonly pollMs: number;
}

/** One run that found the lock of its node taken. */
export interface LockWaiter {
  /**
   * Resolves when the run may ask for the lock again, also because the signal aborts. Throws NODE_LOCKED when it is not to wait, or
   * has waited long enough. `tell` hears once how the wait begins.
   */
  wait(signal: AbortSignal, tell: (wait: LockWait) => Promise<void>): Promise<void>;
  /** Ends the waiting: the run has the lock, or does not want it any more. Ending twice is harmless. */
  end(hasLock: boolean): void;
}

function refused({ holder, waiting }: NodeLock, node: string): RuneError {
  const queue = waiting === 0 ? '' : ` ${waiting} more ${waiting === 1 ? 'run waits' : 'runs wait'} for it.`;
  return new RuneError('NODE_LOCKED', `${node} is locked by ${holderWords(holder)}.${queue}`, { node });
}

function gaveUp({ holder, askedMs, untilMs }: LockWait, node: string): RuneError {
  const waited = Math.round((untilMs - askedMs) / 1000);
  const message = `The run waited ${waited} s for ${node}, which is locked by ${holderWords(holder)}.`;
  return new RuneError('NODE_LOCKED', message, { node });
}

/** Throws NODE_COOLING_DOWN while the action is not to start on the node that has this lock. */
export async function refuseCooling(
  store: Pick<Store, 'coolsDownUntilMs'>,
  key: string,
  action: string,
  node: string,
): Promise<void> {
  const untilMs = await store.coolsDownUntilMs(key, action);
  if (untilMs === undefined) return;
  const message = `${action} may run on ${node} again from ${new Date(untilMs).toISOString()} on.`;
  throw new RuneError('NODE_COOLING_DOWN', message, { node, action });
}

/** Makes the waiter of one run, which has not waited yet. */
export function createLockWaiter(
  run: { readonly executionId: string; readonly position: number; readonly node: string },
  { key, runId, waitMs }: LockRequest,
  { store, turns, pollMs }: LockDeps,
): LockWaiter {
  const { executionId, position, node } = run;
  let turn: LockTurn | undefined;

  const look = async (): Promise<LockWait | undefined> => {
    if (waitMs === 0) throw refused(await store.nodeLock(key), node);
    return (await store.lockWaits(executionId, { after: position - 1, limit: 1 })).get(position);
  };

  return {
    async wait(signal, tell) {
      // Looked at again once it stands in line: from then on it hears of every release.
      for (let isIn = turn !== undefined; ; isIn = true) {
        const wait = await look().catch((thrown: unknown) => {
          if (RuneError.from(thrown).name === 'STORE_UNAVAILABLE') return 'away' as const;
          throw thrown;
        });
        // Without a row, nothing says when to give up: asking again makes one.
        if (wait === undefined) return;
        if (wait === 'away') {
          turn ??= turns.join(key, { askedMs: Date.now(), runId });
          await turn.next(pollMs, signal);
          return;
        }
        if (wait.leftMs <= 0) throw gaveUp(wait, node);
        if (wait.place === 1 && wait.holder === undefined) return;
        if (turn === undefined) {
          await tell(wait);
          turn = turns.join(key, { askedMs: wait.askedMs, runId });
        }
        if (!isIn) continue;
        await turn.next(wait.leftMs, signal);
        return;
      }
    },
    end: (hasLock) => turn?.leave(hasLock),
  };
}
