import { RuneError } from '../../shared/errors.js';
import { limitedAction, limitKeyOf } from '../store/lock-rules.js';
import { holderWords } from '../watch/lock-message.js';
import type { LockTurn, LockTurns } from './lock-turns.js';
import type { ActionUse, LockRequest, LockWait, NodeLock, Store } from '../store/store.js';

/** What waiting for a lock works with. */
export interface LockDeps {
  readonly store: Pick<Store, 'actionUse' | 'coolsDownUntilMs' | 'nodeLock' | 'lockWaits'>;
  readonly turns: LockTurns;
  /** The store is asked again after so long while it is away. */
  readonly pollMs: number;
}

/** One run that found the lock of its node, or all places of its action, taken. */
export interface LockWaiter {
  /**
   * Resolves when the run may ask again, also because the signal aborts. Throws NODE_LOCKED or ACTION_LIMIT_REACHED when it is not to
   * wait, or has waited long enough. `tell` hears how it begins to wait for each of the two.
   */
  wait(signal: AbortSignal, tell: (wait: LockWait) => Promise<void>): Promise<void>;
  /** Ends the waiting: the run has what it needs, or does not want it any more. Ending twice is harmless. */
  end(hasLock: boolean): void;
}

function refused({ holder, waiting }: NodeLock, node: string): RuneError {
  const queue = waiting === 0 ? '' : ` ${waiting} more ${waiting === 1 ? 'run waits' : 'runs wait'} for it.`;
  return new RuneError('NODE_LOCKED', `${node} is locked by ${holderWords(holder)}.${queue}`, { node });
}

function limited({ action, running }: ActionUse, node: string, before: string): RuneError {
  const runs = running === 1 ? '1 run of it is' : `${running} runs of it are`;
  const message = `${before}${action} has no place for ${node}: ${runs} under way, and its manifest allows no more at one time.`;
  return new RuneError('ACTION_LIMIT_REACHED', message, { node, action });
}

function gaveUp({ holder, limit, askedMs, untilMs }: LockWait, node: string): RuneError {
  const waited = Math.round((untilMs - askedMs) / 1000);
  if (limit !== undefined) return limited(limit, node, `The run waited ${waited} s. `);
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

const firstOf = ({ key, limit }: Pick<LockRequest, 'key' | 'limit'>): string =>
  key ?? limitKeyOf(limit?.action ?? '');

/** Makes the waiter of one run, which has not waited yet. */
export function createLockWaiter(
  run: { readonly executionId: string; readonly position: number; readonly node: string },
  { key, limit, runId, waitMs }: LockRequest,
  { store, turns, pollMs }: LockDeps,
): LockWaiter {
  const { executionId, position, node } = run;
  const told = new Set<string>();
  let line: { readonly key: string; readonly turn: LockTurn } | undefined;

  /** Stands in line for what is lacking, and nowhere else. */
  const join = (lacking: string, askedMs: number): LockTurn => {
    if (line?.key !== lacking) {
      line?.turn.leave(false);
      line = { key: lacking, turn: turns.join(lacking, { askedMs, runId }) };
    }
    return line.turn;
  };

  const isFree = ({ holder, limit: use }: LockWait): boolean =>
    use === undefined ? holder === undefined : use.running < (limit?.max ?? Infinity);

  const refuse = async (): Promise<RuneError> => {
    const lock = key === undefined ? undefined : await store.nodeLock(key);
    if (lock !== undefined && (lock.holder !== undefined || limit === undefined)) return refused(lock, node);
    return limited(await store.actionUse(limit?.action ?? ''), node, '');
  };

  const look = async (): Promise<LockWait | undefined> => {
    if (waitMs === 0) throw await refuse();
    return (await store.lockWaits(executionId, { after: position - 1, limit: 1 })).get(position);
  };

  return {
    async wait(signal, tell) {
      // Looked at again once it stands in line: from then on it hears of every release.
      for (;;) {
        const wait = await look().catch((thrown: unknown) => {
          if (RuneError.from(thrown).name === 'STORE_UNAVAILABLE') return 'away' as const;
          throw thrown;
        });
        // Without a row, nothing says when to give up: asking again makes one.
        if (wait === undefined) return;
        if (wait === 'away') {
          await (line?.turn ?? join(firstOf({ key, limit }), Date.now())).next(pollMs, signal);
          return;
        }
        if (wait.leftMs <= 0) throw gaveUp(wait, node);
        if (wait.place === 1 && isFree(wait)) return;
        const isIn = line?.key === wait.key;
        if (!told.has(wait.key)) await tell(wait);
        told.add(wait.key);
        const turn = join(wait.key, wait.askedMs);
        if (!isIn) continue;
        await turn.next(wait.leftMs, signal);
        return;
      }
    },
    // There may be more than one place: who is next asks too.
    end: (hasLock) => line?.turn.leave(hasLock && limitedAction(line.key) === undefined),
  };
}
