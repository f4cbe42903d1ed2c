import type { ExecutionsOptions } from '../commands/executions.js';
import type { Deps } from '../connect.js';
import { withService } from '../with-service.js';
import { cancelCommand } from './cancel-command.js';
import { listExecutions } from './list-command.js';
import { rerunCommand } from './rerun-command.js';
import { showExecution } from './show-command.js';
import { watchCommand } from './watch-command.js';

/** `rune executions …`: answers the exit code. */
export function executionsCommand(options: ExecutionsOptions, deps: Deps): Promise<number> {
  const { io } = deps;
  return withService(deps, options.service, async (session) => {
    switch (options.kind) {
      case 'list':
        return listExecutions(options, io, session);
      case 'show':
        return showExecution(options, io, session);
      case 'watch':
        return watchCommand(options, io, session);
      case 'cancel':
        return cancelCommand(options, io, session);
      default:
        return rerunCommand(options, io, session);
    }
  });
}
