import type { Instance } from '@aws-sdk/client-ec2';
import { awsClientConfig } from './aws-client.js';
import type { AwsSource } from './aws-config.js';
import type { FoundInstance } from './found-instance.js';
import { takePages } from './take-pages.js';

const PAGE_ITEMS = 1_000;
const STATE = 'instance-state-name';
/** These are shown for an hour more, and are no machines any longer. */
const GONE = new Set(['shutting-down', 'terminated']);

/** The instances that the filters of the source choose; running ones unless they speak of states themselves. */
export async function listEc2(
  source: AwsSource,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<FoundInstance[]> {
  const sdk = await import('@aws-sdk/client-ec2');
  const client = new sdk.EC2Client(await awsClientConfig(source, timeoutMs));
  const filters = source.filters.map(({ name, values }) => ({ Name: name, Values: [...values] }));
  if (filters.every(({ Name }) => Name !== STATE)) filters.push({ Name: STATE, Values: ['running'] });
  try {
    return await takePages(async (token) => {
      const command = new sdk.DescribeInstancesCommand({
        Filters: filters,
        MaxResults: PAGE_ITEMS,
        NextToken: token,
      });
      const { Reservations = [], NextToken } = await client.send(command, { abortSignal: signal });
      const instances = Reservations.flatMap(({ Instances = [] }) => Instances)
        .filter(({ State }) => !GONE.has(State?.Name ?? ''))
        .map((instance) => show(instance, source));
      return { instances, nextToken: NextToken || undefined };
    });
  } finally {
    client.destroy();
  }
}

function show(instance: Instance, { region }: AwsSource): FoundInstance {
  const { InstanceId = '', InstanceType = '', VpcId = '', Placement, Tags = [] } = instance;
  return {
    id: InstanceId,
    privateAddress: instance.PrivateIpAddress || instance.Ipv6Address || undefined,
    publicAddress: instance.PublicIpAddress || undefined,
    fields: new Map([
      ['id', InstanceId],
      ['region', region],
      ['availability_zone', Placement?.AvailabilityZone ?? ''],
      ['instance_type', InstanceType],
      ['vpc_id', VpcId],
      ...Tags.map(({ Key = '', Value = '' }) => [`tag:${Key}`, Value] as const),
    ]),
  };
}
