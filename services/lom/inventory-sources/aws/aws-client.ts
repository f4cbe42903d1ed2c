import type { EC2ClientConfig } from '@aws-sdk/client-ec2';
import type { SSMClientConfig } from '@aws-sdk/client-ssm';
import type { AwsSource } from './aws-config.js';

const SESSION_NAME = 'rune-lom';
/** Tries of one request, with growing pauses between them: nothing changes by it, and throttling passes. */
const ATTEMPTS_MAX = 3;

/** How a service is asked for a source: where, as whom, and for how long. The SDK's parts are loaded only now. */
export async function awsClientConfig(
  { region, roleArn, endpoint, stsEndpoint }: AwsSource,
  timeoutMs: number,
): Promise<EC2ClientConfig & SSMClientConfig> {
  const requestHandler = {
    requestTimeout: timeoutMs,
    throwOnRequestTimeout: true,
    connectionTimeout: timeoutMs,
  };
  const config = {
    region,
    maxAttempts: ATTEMPTS_MAX,
    requestHandler,
    ...(endpoint === undefined ? {} : { endpoint }),
  };
  if (roleArn === undefined) return config;
  const { fromTemporaryCredentials } = await import('@aws-sdk/credential-providers');
  const credentials = fromTemporaryCredentials({
    params: { RoleArn: roleArn, RoleSessionName: SESSION_NAME },
    clientConfig: { region, requestHandler, ...(stsEndpoint === undefined ? {} : { endpoint: stsEndpoint }) },
  });
  return { ...config, credentials };
}
