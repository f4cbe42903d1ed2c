import type { ExecutionRecord, RunRecord } from '../store/store.js';

/** Transports over which a mediator can carry several runs at once. */
const CARRIED_TOGETHER = new Set(['ssm']);
/** What one command of Systems Manager takes. */
const GROUP_RUNS_MAX = 50;

/**
 * The dispatch group of a run: with the runs that stand around it in its execution, which differ by nothing but their node. Empty
 * for a run that goes alone. It follows from what is recorded before anything is sent, so that whoever owns the execution later
 * finds the same.
 */
export function dispatchGroupOf(
  { id, runs }: Pick<ExecutionRecord, 'id' | 'runs'>,
  { position }: Pick<RunRecord, 'position'>,
  transport: string,
): string {
  if (runs < 2 || !CARRIED_TOGETHER.has(transport)) return '';
  return `${id}.${Math.floor(position / GROUP_RUNS_MAX)}`;
}
