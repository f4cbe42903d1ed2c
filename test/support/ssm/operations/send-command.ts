import { randomUUID } from 'node:crypto';
import { AwsError } from '../aws-error.js';
import type { Command, Invocation, Scope } from '../command.js';
import { bindParameters } from '../document.js';
import type { Input } from '../input.js';
import { createScriptOutput } from '../script-output.js';
import { dispatchCommand, type ManagedInstance, type Service } from '../service.js';
import { showCommand } from '../show-command.js';

const INSTANCES_MAX = 50;
const TARGETS_MAX = 5;
/** Of the document and what is put into it. */
const CONTENT_BYTES_MAX = 65_536;
const TIMEOUT_SECONDS_DEFAULT = 3600;
const EXECUTION_SECONDS_DEFAULT = 3600;

/** Starts a command on up to 50 instances by id, or on those that targets select. */
export function sendCommand(service: Service, scope: Scope, input: Input): object {
  const documentName = input.text('DocumentName', { least: 1 }) ?? '';
  const comment = input.text('Comment', { most: 100 }) ?? '';
  const timeoutSeconds = input.number('TimeoutSeconds', 30, 2_592_000) ?? TIMEOUT_SECONDS_DEFAULT;
  const pattern = /^([1-9]\d*|[1-9]\d?%|100%)$/;
  const maxConcurrency = input.text('MaxConcurrency', { least: 1, most: 7, pattern }) ?? '50';
  const errorsPattern = /^(0|[1-9]\d*|\d{1,2}%|100%)$/;
  const maxErrors = input.text('MaxErrors', { least: 1, most: 7, pattern: errorsPattern }) ?? '0';
  const bucket = input.text('OutputS3BucketName', { least: 3, most: 63 }) ?? '';
  const keyPrefix = input.text('OutputS3KeyPrefix', { most: 500 }) ?? '';
  const ids = input.texts('InstanceIds', INSTANCES_MAX);
  const targets = input.objects('Targets', TARGETS_MAX) as unknown as Command['targets'];
  const parameters = input.map('Parameters');
  if ((ids.length === 0) === (targets.length === 0))
    throw new AwsError('ValidationException', 'Give either InstanceIds or Targets.');
  for (const id of ids) {
    if (!/^(i-(\w{8}|\w{17})|mi-\w{17})$/.test(id))
      throw new AwsError(
        'ValidationException',
        `1 validation error detected: Value '[${id}]' at 'instanceIds' failed to satisfy constraint: Member must satisfy regular expression pattern: (^i-(\\w{8}|\\w{17})$)|(^mi-\\w{17}$)`,
      );
  }
  if (new Set(ids).size !== ids.length)
    throw new AwsError(
      'DuplicateInstanceId',
      "You can't specify a managed node ID in more than one association.",
    );
  const document = service.documents.get(documentName);
  if (document === undefined)
    throw new AwsError('InvalidDocument', `Document with name ${documentName} does not exist.`);
  const step = bindParameters(document, parameters);
  if (Buffer.byteLength(JSON.stringify([document, parameters])) > CONTENT_BYTES_MAX)
    throw new AwsError('MaxDocumentSizeExceeded', 'The size limit of a document is 64 KB.');
  const instances = targets.length === 0 ? byId(service, scope, ids) : byTargets(service, scope, targets);

  const requestedAtMs = service.now();
  const executionSeconds = Number(step.timeoutSeconds) || EXECUTION_SECONDS_DEFAULT;
  const command: Command = {
    id: randomUUID(),
    scope,
    documentName,
    comment,
    parameters,
    targets,
    instanceIds: ids,
    step,
    requestedAtMs,
    expiresAtMs: requestedAtMs + (timeoutSeconds + executionSeconds) * 1000,
    acceptedAtMs: Date.now(),
    timeoutSeconds,
    maxConcurrency,
    maxErrors,
    output: { bucket, keyPrefix },
    invocations: new Map(),
    cancelRequested: false,
  };
  for (const { id } of instances) command.invocations.set(id, newInvocation(command, id));
  service.commands.set(command.id, command);
  const shown = showCommand(command);
  dispatchCommand(service, command);
  return { Command: shown };
}

function newInvocation(command: Command, instanceId: string): Invocation {
  return {
    command,
    instanceId,
    isDispatched: false,
    status: 'Pending',
    details: 'Pending',
    responseCode: -1,
    startedAtMs: undefined,
    endedAtMs: undefined,
    stdout: createScriptOutput(),
    stderr: createScriptOutput(),
    shown: { stdout: '', stderr: '', combined: '' },
  };
}

const isOf = (scope: Scope, instance: ManagedInstance): boolean =>
  instance.scope.account === scope.account && instance.scope.region === scope.region;

function byId(service: Service, scope: Scope, ids: readonly string[]): ManagedInstance[] {
  const wrong: string[] = [];
  const found = ids.flatMap((id) => {
    const instance = service.instances.get(id);
    if (instance !== undefined && isOf(scope, instance) && instance.presence !== 'gone') return instance;
    wrong.push(id);
    return [];
  });
  // One that cannot be used refuses all.
  if (wrong.length > 0)
    throw new AwsError(
      'InvalidInstanceId',
      `Instances [[${wrong.join(', ')}]] not in a valid state for account ${scope.account}`,
    );
  return found;
}

function byTargets(service: Service, scope: Scope, targets: Command['targets']): ManagedInstance[] {
  return [...service.instances.values()].filter(
    (instance) =>
      isOf(scope, instance) &&
      instance.presence !== 'gone' &&
      targets.every(({ Key: key, Values: values }) => {
        if (key === 'InstanceIds') return values.includes(instance.id);
        const tag = /^tag:(.+)$/.exec(key)?.[1];
        if (tag !== undefined) return values.includes(instance.tags[tag] ?? '');
        throw new AwsError('InvalidTarget', `The target key ${key} isn't valid.`);
      }),
  );
}
