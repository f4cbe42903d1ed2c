import { AwsError } from './aws-error.js';
import type { Scope } from './command.js';
import { readInput, type Input } from './input.js';
import { cancelCommand } from './operations/cancel-command.js';
import { describeInstanceInformation } from './operations/describe-instance-information.js';
import { getCommandInvocation } from './operations/get-command-invocation.js';
import { getParameter, getParameters } from './operations/get-parameters.js';
import { listCommandInvocations } from './operations/list-command-invocations.js';
import { listCommands } from './operations/list-commands.js';
import { sendCommand } from './operations/send-command.js';
import { expireCommands, type Service } from './service.js';

const OPERATIONS: Readonly<
  Record<string, ((service: Service, scope: Scope, input: Input) => object) | undefined>
> = {
  CancelCommand: cancelCommand,
  DescribeInstanceInformation: describeInstanceInformation,
  GetCommandInvocation: getCommandInvocation,
  GetParameter: getParameter,
  GetParameters: getParameters,
  ListCommandInvocations: listCommandInvocations,
  ListCommands: listCommands,
  SendCommand: sendCommand,
};

/** Performs one operation of the service. Throws an AwsError for one that is unknown or refused. */
export function answerCall(
  service: Service,
  scope: Scope,
  name: string,
  members: Readonly<Record<string, unknown>>,
): object {
  const operation = OPERATIONS[name];
  if (operation === undefined) throw new AwsError('UnknownOperationException', '');
  expireCommands(service);
  return operation(service, scope, readInput(members));
}
