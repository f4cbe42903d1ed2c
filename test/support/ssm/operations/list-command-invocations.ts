import { isOver, type Invocation, type Scope } from '../command.js';
import type { Input } from '../input.js';
import { filtersOf } from '../matches-filters.js';
import { outputUrl } from '../output-url.js';
import { pageOf } from '../page.js';
import { isVisible, type Service } from '../service.js';

/** Invocations, of the newest command first; with Details, also what each step came to. */
export function listCommandInvocations(service: Service, scope: Scope, input: Input): object {
  const commandId = input.text('CommandId', { least: 36, most: 36 });
  const instanceId = input.text('InstanceId');
  const withDetails = input.flag('Details');
  const passes = filtersOf(input);
  const found = [...service.commands.values()]
    .toReversed()
    .filter(
      (command) =>
        (commandId === undefined || command.id === commandId) && isVisible(service, command, scope),
    )
    .flatMap(({ invocations }) => [...invocations.values()])
    .filter(
      (invocation) =>
        (instanceId === undefined || invocation.instanceId === instanceId) &&
        passes({
          requestedAtMs: invocation.command.requestedAtMs,
          status: invocation.status,
          details: invocation.details,
          documentName: invocation.command.documentName,
          isComplete: isOver(invocation),
        }),
    );
  const { items, ...rest } = pageOf(found, input, { least: 1, most: 50, usual: 50 });
  return { CommandInvocations: items.map((each) => showInvocation(each, withDetails)), ...rest };
}

function showInvocation(invocation: Invocation, withDetails: boolean): object {
  const { command, instanceId, startedAtMs, endedAtMs } = invocation;
  const urls = {
    StandardOutputUrl: outputUrl(invocation, 'stdout'),
    StandardErrorUrl: outputUrl(invocation, 'stderr'),
  };
  const plugin = {
    Name: command.step.name,
    Status: invocation.status,
    StatusDetails: invocation.details,
    ResponseCode: invocation.responseCode,
    ...(startedAtMs === undefined ? {} : { ResponseStartDateTime: startedAtMs / 1000 }),
    ...(startedAtMs === undefined || endedAtMs === undefined
      ? {}
      : { ResponseFinishDateTime: endedAtMs / 1000 }),
    Output: invocation.shown.combined,
    ...urls,
    OutputS3Region: command.scope.region,
    OutputS3BucketName: command.output.bucket,
    OutputS3KeyPrefix: command.output.keyPrefix,
  };
  return {
    CommandId: command.id,
    InstanceId: instanceId,
    InstanceName: '',
    Comment: command.comment,
    DocumentName: command.documentName,
    DocumentVersion: '$DEFAULT',
    RequestedDateTime: command.requestedAtMs / 1000,
    Status: invocation.status,
    StatusDetails: invocation.details,
    ...urls,
    CommandPlugins: withDetails ? [plugin] : [],
    ServiceRole: '',
  };
}
