import type { NodeEnding } from '../transport.js';
import { followCommand } from './follow-command.js';
import { lost } from './lost-run.js';
import { carries } from './run-comment.js';
import { executionSeconds } from './run-limits.js';
import { findCommand } from './send-command.js';
import type { SsmRun, SsmRunDeps } from './ssm-run.js';
import { sendSettings } from './ssm-settings.js';

/** Sends the command of a run and follows it to its end. Throws a RuneError if certainly nothing ran. */
export async function runOverSsm(run: SsmRun, deps: SsmRunDeps): Promise<NodeEnding> {
  const { command, sink, stop } = run;
  const { address, clock } = deps;
  const startedMs = clock.now();
  const { commandId, sentAt } = await deps.send({
    command,
    instanceId: address.instanceId,
    executionSeconds: executionSeconds(command),
    stop,
  });
  if (commandId === undefined) {
    return lost(
      'the answer to its command was lost, and no command of this run can be found',
      run,
      deps,
      sentAt,
    );
  }
  sink.waiting?.(`Systems Manager has the command ${commandId}; log and result come when it ends.`);
  return followCommand(run, deps, { commandId, sentAt, connectMs: clock.now() - startedMs });
}

/** Finds the command of a run that another process sent, and follows it to its end. */
export async function adoptOverSsm(run: SsmRun, deps: SsmRunDeps, sentAt: Date): Promise<NodeEnding> {
  const { command, sink } = run;
  const { access, address, settings, clock } = deps;
  const commandId = await findCommand(
    access,
    { instanceId: address.instanceId, isIt: carries(command) },
    sentAt,
    { settings: sendSettings(settings), clock },
  );
  if (commandId === undefined) return lost('no command of this run can be found', run, deps, sentAt);
  sink.waiting?.(`Found the command ${commandId} again; log and result come when it ends.`);
  return followCommand(run, deps, { commandId, sentAt, connectMs: undefined });
}
