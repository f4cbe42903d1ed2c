import { AwsError } from '../aws-error.js';
import type { Scope } from '../command.js';
import type { Input } from '../input.js';
import { cancelInvocation, isVisible, type Service } from '../service.js';

/** Asks to cancel a command, everywhere or on some of its instances. It answers before anything was stopped. */
export function cancelCommand(service: Service, scope: Scope, input: Input): object {
  const id = input.text('CommandId', { least: 36, most: 36 }) ?? '';
  const instanceIds = input.texts('InstanceIds', 50);
  const command = service.commands.get(id);
  if (command === undefined || !isVisible(service, command, scope))
    throw new AwsError('InvalidCommandId', 'The specified command ID is not valid.');
  for (const instanceId of instanceIds) {
    if (!command.invocations.has(instanceId))
      throw new AwsError('InvalidInstanceId', `The command was not sent to ${instanceId}.`);
  }
  if (instanceIds.length === 0) command.cancelRequested = true;
  for (const [instanceId, invocation] of command.invocations) {
    if (instanceIds.length === 0 || instanceIds.includes(instanceId)) cancelInvocation(service, invocation);
  }
  return {};
}
