import type { SSMClient, SSMClientConfig } from '@aws-sdk/client-ssm';
import { linesGiven } from './node-script.js';
import { createObjectReader, type ObjectReader } from './sdk-objects.js';
import { SsmFault, type SsmApi, type SsmFaultKind } from './ssm-api.js';

/** Where and as whom Systems Manager is asked. */
export interface SdkApiOptions {
  readonly region: string;
  /** A role to assume; empty for the identity of this process. */
  readonly roleArn: string;
  readonly endpoint: string | undefined;
  readonly stsEndpoint: string | undefined;
  readonly s3Endpoint: string | undefined;
  readonly requestTimeoutMs: number;
}

const PAGE_ITEMS = 50;
/** Far more than the requests that can be under way. */
const SOCKETS_MAX = 10_000;
const SESSION_NAME = 'rune-lmm';
const THROTTLED = new Set([
  'ThrottlingException',
  'Throttling',
  'TooManyRequestsException',
  'RequestLimitExceeded',
  'TooManyUpdates',
]);
/** Codes of connections that were never made. */
const UNSENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);
/** The SDK's words: its timeouts have one name, and only this one comes before anything was sent. */
const NOT_CONNECTED = /did not establish a connection/;
const CREDENTIALS = new Set(['CredentialsProviderError', 'TokenProviderError', 'ProviderError']);

/**
 * Systems Manager through the AWS SDK, which is loaded only here and only now. Nothing is retried by the SDK: SendCommand has no
 * token that would make that safe.
 */
export async function createSdkApi(options: SdkApiOptions): Promise<SsmApi> {
  const sdk = await import('@aws-sdk/client-ssm');
  // The SDK counts what a request waits for a socket as its own time: one that timed out may then never have been sent.
  const agent = { maxSockets: SOCKETS_MAX };
  const requestHandler = {
    httpAgent: agent,
    httpsAgent: agent,
    requestTimeout: options.requestTimeoutMs,
    throwOnRequestTimeout: true,
    connectionTimeout: options.requestTimeoutMs,
  };
  const config: SSMClientConfig = {
    region: options.region,
    maxAttempts: 1,
    requestHandler,
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
  };
  if (options.roleArn !== '') {
    const { fromTemporaryCredentials } = await import('@aws-sdk/credential-providers');
    config.credentials = fromTemporaryCredentials({
      params: { RoleArn: options.roleArn, RoleSessionName: SESSION_NAME },
      clientConfig: {
        region: options.region,
        requestHandler,
        ...(options.stsEndpoint === undefined ? {} : { endpoint: options.stsEndpoint }),
      },
    });
  }
  const client: SSMClient = new sdk.SSMClient(config);
  // The service may close a connection that waits just when it is used again, and whether it took the command would be unknown: each
  // one gets a connection of its own.
  const fresh = { ...agent, keepAlive: false };
  const sender: SSMClient = new sdk.SSMClient({
    ...config,
    credentials: client.config.credentials,
    requestHandler: { ...requestHandler, httpAgent: fresh, httpsAgent: fresh },
  });

  let objects: Promise<ObjectReader> | undefined;

  const call = async <Answer>(request: Promise<Answer>): Promise<Answer> => {
    try {
      return await request;
    } catch (thrown) {
      throw toFault(thrown);
    }
  };

  return {
    async send(command) {
      const { Command } = await call(
        sender.send(
          new sdk.SendCommandCommand({
            InstanceIds: [...command.instanceIds],
            DocumentName: command.document,
            OutputS3BucketName: command.outputBucket?.name,
            OutputS3KeyPrefix: command.outputBucket?.keyPrefix || undefined,
            Comment: command.comment,
            TimeoutSeconds: command.deliverySeconds,
            MaxConcurrency: '50',
            MaxErrors: '100%',
            Parameters: {
              ...Object.fromEntries(
                Object.entries(command.parameters).map(([name, value]) => [name, [...value]]),
              ),
              executionTimeout: [String(command.executionSeconds)],
            },
          }),
        ),
      );
      if (Command?.CommandId === undefined)
        throw new SsmFault('unknown', 'NoCommandId', 'The service named no command.');
      return Command.CommandId;
    },

    async statuses(of, nextToken) {
      const answer = await call(
        client.send(
          new sdk.ListCommandInvocationsCommand({
            MaxResults: PAGE_ITEMS,
            NextToken: nextToken,
            Details: true,
            ...('commandId' in of
              ? { CommandId: of.commandId }
              : { Filters: [{ key: 'InvokedAfter', value: secondsText(of.sentAfter) }] }),
          }),
        ),
      ).catch(noneIf('InvalidCommandId'));
      return {
        items: (answer?.CommandInvocations ?? []).map((each) => ({
          commandId: each.CommandId ?? '',
          instanceId: each.InstanceId ?? '',
          status: each.Status ?? '',
          details: each.StatusDetails ?? '',
          combined: each.CommandPlugins?.[0]?.Output,
        })),
        nextToken: answer?.NextToken || undefined,
      };
    },

    async invocation(commandId, instanceId) {
      const answer = await call(
        client.send(new sdk.GetCommandInvocationCommand({ CommandId: commandId, InstanceId: instanceId })),
      ).catch(noneIf('InvocationDoesNotExist'));
      return (
        answer && {
          commandId,
          instanceId,
          status: answer.Status ?? '',
          details: answer.StatusDetails ?? '',
          responseCode: answer.ResponseCode ?? -1,
          hasBegun: (answer.ExecutionStartDateTime ?? '') !== '',
          stdout: answer.StandardOutputContent ?? '',
          stderr: answer.StandardErrorContent ?? '',
          stdoutUrl: answer.StandardOutputUrl ?? '',
          stderrUrl: answer.StandardErrorUrl ?? '',
        }
      );
    },

    async cancel(commandId, instanceId) {
      await call(
        client.send(new sdk.CancelCommandCommand({ CommandId: commandId, InstanceIds: [instanceId] })),
      );
    },

    async commands(instanceId, sentAfter, nextToken) {
      const answer = await call(
        client.send(
          new sdk.ListCommandsCommand({
            InstanceId: instanceId,
            MaxResults: PAGE_ITEMS,
            NextToken: nextToken,
            Filters: [{ key: 'InvokedAfter', value: secondsText(sentAfter) }],
          }),
        ),
      );
      return {
        items: (answer.Commands ?? []).map((each) => ({
          commandId: each.CommandId ?? '',
          comment: each.Comment ?? '',
          script: linesGiven(each.Parameters ?? {}),
        })),
        nextToken: answer.NextToken || undefined,
      };
    },

    async instance(instanceId) {
      const answer = await call(
        client.send(
          new sdk.DescribeInstanceInformationCommand({
            Filters: [{ Key: 'InstanceIds', Values: [instanceId] }],
          }),
        ),
      );
      const found = answer.InstanceInformationList?.find((each) => each.InstanceId === instanceId);
      return (
        found && {
          pingStatus: found.PingStatus ?? '',
          agentVersion: found.AgentVersion ?? '',
          platform: [found.PlatformName, found.PlatformVersion].filter(Boolean).join(' '),
        }
      );
    },

    async object(bucket, key, bytesMax, signal) {
      objects ??= createObjectReader({
        region: options.region,
        requestHandler,
        credentials: client.config.credentials,
        ...(options.s3Endpoint === undefined ? {} : { endpoint: options.s3Endpoint, forcePathStyle: true }),
      });
      const reader = await objects;
      return call(reader.read(bucket, key, bytesMax, signal)).catch(noneIf('NoSuchKey'));
    },

    close() {
      client.destroy();
      sender.destroy();
      void objects?.then((reader) => reader.close());
    },
  };
}

/** For a call about something that is not shown yet. */
function noneIf(code: string): (thrown: unknown) => undefined {
  return (thrown) => {
    if (thrown instanceof SsmFault && thrown.code === code) return undefined;
    throw thrown;
  };
}

/** As the service wants a time: without fractions of a second. */
function secondsText(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`;
}

/** Any failure of the SDK as what it says about the request. */
export function toFault(thrown: unknown): SsmFault {
  if (thrown instanceof SsmFault) return thrown;
  const {
    name = '',
    message = '',
    code,
    $metadata,
  } = thrown as Partial<Error> & { code?: unknown; $metadata?: { httpStatusCode?: number } };
  const systemCode = typeof code === 'string' ? code : '';
  return new SsmFault(
    kindOf(name, message, systemCode, $metadata?.httpStatusCode),
    systemCode || name,
    message,
    {
      cause: thrown,
    },
  );
}

function kindOf(
  name: string,
  message: string,
  systemCode: string,
  httpStatus: number | undefined,
): SsmFaultKind {
  if (THROTTLED.has(name)) return 'throttled';
  if (CREDENTIALS.has(name)) return 'refused';
  if (UNSENT.has(systemCode) || (name === 'TimeoutError' && NOT_CONNECTED.test(message))) return 'unsent';
  // An answer that could not be read has a status too: only a refusal of the service's own says what happened.
  return httpStatus !== undefined && httpStatus >= 400 && httpStatus < 500 ? 'refused' : 'unknown';
}
