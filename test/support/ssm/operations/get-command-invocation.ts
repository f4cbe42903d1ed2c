import { AwsError } from '../aws-error.js';
import type { Scope } from '../command.js';
import type { Input } from '../input.js';
import { outputUrl } from '../output-url.js';
import { isVisible, type Service } from '../service.js';

const ISO = (ms: number | undefined): string => (ms === undefined ? '' : new Date(ms).toISOString());

/** One invocation with its output. */
export function getCommandInvocation(service: Service, scope: Scope, input: Input): object {
  const commandId = input.text('CommandId', { least: 36, most: 36 }) ?? '';
  const instanceId = input.text('InstanceId', { least: 1 }) ?? '';
  const pluginName = input.text('PluginName', { least: 4 });
  const command = service.commands.get(commandId);
  const invocation =
    command !== undefined && isVisible(service, command, scope)
      ? command.invocations.get(instanceId)
      : undefined;
  if (command === undefined || invocation === undefined) throw new AwsError('InvocationDoesNotExist', '');
  if (pluginName !== undefined && pluginName !== command.step.name)
    throw new AwsError('InvalidPluginName', 'The plugin name is not valid.');
  const { startedAtMs, endedAtMs } = invocation;
  return {
    CommandId: commandId,
    InstanceId: instanceId,
    Comment: command.comment,
    DocumentName: command.documentName,
    DocumentVersion: '$DEFAULT',
    PluginName: command.step.name,
    ResponseCode: invocation.responseCode,
    ExecutionStartDateTime: ISO(startedAtMs),
    ExecutionElapsedTime:
      startedAtMs === undefined || endedAtMs === undefined ? '' : `PT${(endedAtMs - startedAtMs) / 1000}S`,
    ExecutionEndDateTime: startedAtMs === undefined ? '' : ISO(endedAtMs),
    Status: invocation.status,
    StatusDetails: invocation.details,
    StandardOutputContent: invocation.shown.stdout,
    StandardOutputUrl: outputUrl(invocation, 'stdout'),
    StandardErrorContent: invocation.shown.stderr,
    StandardErrorUrl: outputUrl(invocation, 'stderr'),
    CloudWatchOutputConfig: { CloudWatchLogGroupName: '', CloudWatchOutputEnabled: false },
  };
}
