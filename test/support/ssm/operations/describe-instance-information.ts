import { AwsError } from '../aws-error.js';
import type { Scope } from '../command.js';
import type { Input } from '../input.js';
import { pageOf } from '../page.js';
import type { ManagedInstance, Service } from '../service.js';

const FILTERS_MAX = 10;

/** The managed nodes of the account and region, by ten unless asked otherwise. */
export function describeInstanceInformation(service: Service, scope: Scope, input: Input): object {
  const filters = [
    ...input.objects('Filters', FILTERS_MAX).map(({ Key: key, Values: values }) => ({ key, values })),
    ...input
      .objects('InstanceInformationFilterList', FILTERS_MAX)
      .map(({ key, valueSet: values }) => ({ key, values })),
  ].map(({ key, values }) => ({ key: String(key), values: values as readonly string[] }));
  const found = [...service.instances.values()].filter(
    (instance) =>
      instance.scope.account === scope.account &&
      instance.scope.region === scope.region &&
      instance.presence !== 'gone' &&
      filters.every(({ key, values }) => matches(instance, key, values)),
  );
  const { items, ...rest } = pageOf(found, input, { least: 5, most: 50, usual: 10 });
  return { InstanceInformationList: items.map((each) => showInstance(service, each)), ...rest };
}

const pingStatus = ({ presence, agent }: ManagedInstance): string =>
  presence === 'unreachable' || !agent.isAlive ? 'ConnectionLost' : 'Online';

function matches(instance: ManagedInstance, key: string, values: readonly string[]): boolean {
  const tag = /^tag:(.+)$/.exec(key)?.[1];
  if (tag !== undefined) return values.includes(instance.tags[tag] ?? '');
  switch (key) {
    case 'InstanceIds':
      return values.includes(instance.id);
    case 'PingStatus':
      return values.includes(pingStatus(instance));
    case 'PlatformTypes':
      return values.includes('Linux');
    case 'tag-key':
      return values.some((name) => instance.tags[name] !== undefined);
    default:
      throw new AwsError('InvalidFilterKey', `The specified key ${key} is not valid.`);
  }
}

function showInstance(service: Service, instance: ManagedInstance): object {
  return {
    InstanceId: instance.id,
    PingStatus: pingStatus(instance),
    LastPingDateTime: service.now() / 1000,
    AgentVersion: '3.3.987.0',
    IsLatestVersion: true,
    PlatformType: 'Linux',
    PlatformName: 'Amazon Linux',
    PlatformVersion: '2023',
    ResourceType: instance.id.startsWith('mi-') ? 'ManagedInstance' : 'EC2Instance',
    ...(instance.name === undefined ? {} : { Name: instance.name }),
    IPAddress: '127.0.0.1',
    ComputerName: `${instance.id}.internal`,
  };
}
