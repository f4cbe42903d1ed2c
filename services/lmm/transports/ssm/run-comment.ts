import type { NodeCommand } from '../transport.js';
import { holdsRun } from './group-script.js';
import type { SsmListedCommand } from './ssm-api.js';

/** What the command of a run alone has as its comment: the only thing by which it can be found again. */
export function runComment(runId: string): string {
  return `RUNE run ${runId}`;
}

/** What the command of several runs of a dispatch group has as its comment; the group may have more such commands. */
export function groupComment(dispatchGroup: string): string {
  return `RUNE group ${dispatchGroup}`;
}

/** What a command has as its comment that asks a node how a run ended. */
export function lookComment(runId: string): string {
  return `RUNE look ${runId}`;
}

/** Tells the command that carries a run, alone or with others of its group, from all others. */
export function carries({
  runId,
  dispatchGroup,
}: Pick<NodeCommand, 'runId' | 'dispatchGroup'>): (listed: SsmListedCommand) => boolean {
  const ofGroup = dispatchGroup === undefined ? undefined : groupComment(dispatchGroup);
  return ({ comment, script }) =>
    comment === runComment(runId) || (comment === ofGroup && holdsRun(script, runId));
}
