import { awsClientConfig } from './aws-client.js';
import type { AwsSource } from './aws-config.js';
import type { FoundInstance } from './found-instance.js';
import { takePages } from './take-pages.js';

const PAGE_ITEMS = 50;

/**
 * The managed nodes that the filters of the source choose, those that are no instances of EC2 too. Only what AWS itself knows of them
 * is used: computer name, platform and address are what a node says of itself.
 */
export async function listManaged(
  source: AwsSource,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<FoundInstance[]> {
  const sdk = await import('@aws-sdk/client-ssm');
  const client = new sdk.SSMClient(await awsClientConfig(source, timeoutMs));
  const filters = source.filters.map(({ name, values }) => ({ Key: name, Values: [...values] }));
  try {
    return await takePages(async (token) => {
      const command = new sdk.DescribeInstanceInformationCommand({
        Filters: filters,
        MaxResults: PAGE_ITEMS,
        NextToken: token,
      });
      const { InstanceInformationList = [], NextToken } = await client.send(command, { abortSignal: signal });
      const instances = InstanceInformationList.map(({ InstanceId = '', Name = '' }) =>
        show(InstanceId, Name, source),
      );
      return { instances, nextToken: NextToken || undefined };
    });
  } finally {
    client.destroy();
  }
}

function show(id: string, name: string, { region }: AwsSource): FoundInstance {
  const fields = new Map([
    ['id', id],
    ['region', region],
    ['name', name],
  ]);
  return { id, privateAddress: undefined, publicAddress: undefined, fields };
}
