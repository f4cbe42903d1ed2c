import { summarizeCommand } from './command-summary.js';
import type { Command } from './command.js';

/** A command as SendCommand and ListCommands answer it. */
export function showCommand(command: Command): object {
  return {
    CommandId: command.id,
    DocumentName: command.documentName,
    DocumentVersion: '$DEFAULT',
    Comment: command.comment,
    ExpiresAfter: command.expiresAtMs / 1000,
    Parameters: command.parameters,
    InstanceIds: command.instanceIds,
    Targets: command.targets,
    RequestedDateTime: command.requestedAtMs / 1000,
    OutputS3Region: command.scope.region,
    OutputS3BucketName: command.output.bucket,
    OutputS3KeyPrefix: command.output.keyPrefix,
    MaxConcurrency: command.maxConcurrency,
    MaxErrors: command.maxErrors,
    ServiceRole: '',
    TimeoutSeconds: command.timeoutSeconds,
    ...summarizeCommand(command),
  };
}
