import { summarizeCommand } from '../command-summary.js';
import { isOver, type Scope } from '../command.js';
import type { Input } from '../input.js';
import { filtersOf } from '../matches-filters.js';
import { pageOf } from '../page.js';
import { isVisible, type Service } from '../service.js';
import { showCommand } from '../show-command.js';

/** Commands, newest first. There is no filter for comments. */
export function listCommands(service: Service, scope: Scope, input: Input): object {
  const commandId = input.text('CommandId', { least: 36, most: 36 });
  const instanceId = input.text('InstanceId');
  const passes = filtersOf(input);
  const found = [...service.commands.values()].toReversed().filter((command) => {
    if (commandId !== undefined && command.id !== commandId) return false;
    if (instanceId !== undefined && !command.invocations.has(instanceId)) return false;
    const { Status: status, StatusDetails: details } = summarizeCommand(command);
    return (
      isVisible(service, command, scope) &&
      passes({
        requestedAtMs: command.requestedAtMs,
        status,
        details,
        documentName: command.documentName,
        isComplete: [...command.invocations.values()].every(isOver),
      })
    );
  });
  const { items, ...rest } = pageOf(found, input, { least: 1, most: 50, usual: 50 });
  return { Commands: items.map(showCommand), ...rest };
}
