import type { CommitQueue } from '../store/commit-queue.js';
import type { WatchHub } from '../watch/watch-hub.js';
import type { Execution } from './execution.js';
import type { LockTurns } from './lock-turns.js';

/** What an orchestrator has to do at this moment. */
export interface OrchestratorLoad {
  readonly executions: number;
  readonly runsActive: number;
  readonly runsQueued: number;
  /** Runs that wait for a lock, and bytes of events that wait for the store. */
  readonly waitingForLock: number;
  readonly waitingBytes: number;
  readonly watchers: number;
}

/** Adds up what these have to do. */
export function loadOf(
  executions: readonly Pick<Execution, 'active' | 'queued'>[],
  turns: Pick<LockTurns, 'waiting'>,
  commits: Pick<CommitQueue, 'waitingBytes'>,
  hub: Pick<WatchHub, 'watchers'>,
): OrchestratorLoad {
  return {
    executions: executions.length,
    runsActive: executions.reduce((sum, { active }) => sum + active, 0),
    runsQueued: executions.reduce((sum, { queued }) => sum + queued, 0),
    waitingForLock: turns.waiting,
    waitingBytes: commits.waitingBytes,
    watchers: hub.watchers,
  };
}
